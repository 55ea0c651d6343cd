//! Events as mozlog objects.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes events as mozlog 2.0.
#[derive(Debug)]
pub(super) struct Mozlog {
    hostname: String,
    pid: u32,
}

impl Mozlog {
    /// For events of this process on this machine.
    pub(super) fn of_this_process() -> Self {
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { hostname, pid: std::process::id() }
    }

    /// The whole object of an event.
    fn render(&self, event: &Event<'_>, timestamp_ns: u64) -> Value {
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        json!({
            "Timestamp": timestamp_ns,
            "Type": event.metadata().target(),
            "Logger": "understudy",
            "Hostname": self.hostname,
            "EnvVersion": "2.0",
            "Severity": severity(*event.metadata().level()),
            "Pid": self.pid,
            "Fields": fields.0,
        })
    }
}

impl<S, N> FormatEvent<S, N> for Mozlog
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp_ns = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
        writeln!(writer, "{}", self.render(event, timestamp_ns))
    }
}

/// A level as syslog numbers it (RFC 5424 section 6.2.1).
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        // mozlog has nothing below debug.
        _ => 7,
    }
}

/// Collects an event's fields under their names; the message is the field `msg`, as in Balrog.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let name = if field.name() == "message" { "msg" } else { field.name() };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::Mozlog;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_with_its_fields_typed() {
        let written = Written::default();
        let writer = written.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .event_format(Mozlog { hostname: "stage".to_owned(), pid: 7 });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!(
                target: "understudy::request",
                status = 404_u16,
                key = "a\n\"b\"",
                bucket = None::<&str>,
                outcome = %"absent",
                whole = true,
                "asked and answered"
            );
        });
        let text = String::from_utf8(written.0.lock().expect("not poisoned").clone()).expect("UTF-8");
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let mut object: Value = serde_json::from_str(&text).expect("JSON");
        let timestamp = object.as_object_mut().and_then(|object| object.remove("Timestamp"));
        assert!(timestamp.and_then(|value| value.as_u64()).is_some_and(|ns| ns > 1_600_000_000_000_000_000));
        assert_eq!(
            object,
            json!({
                "Type": "understudy::request",
                "Logger": "understudy",
                "Hostname": "stage",
                "EnvVersion": "2.0",
                "Severity": 4,
                "Pid": 7,
                "Fields": {
                    "msg": "asked and answered",
                    "status": 404,
                    "key": "a\n\"b\"",
                    "outcome": "absent",
                    "whole": true,
                },
            })
        );
    }
}
