//! Volumes that the engine did not make to the end.
//!
//! Engine: what a volume holds stands in `/system/df` alone. bollard reads only the form that it has
//! from API 1.52 on; here it is asked for the form before that, which all engines know.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use bollard::query_parameters::ListVolumesOptions;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::{Engine, Error, PATIENCE_S};
use crate::library::name::StageName;

/// The last version of the API with that form.
const MINOR_MAX: usize = 51;

/// Between two questions to an engine that is measuring for somebody else.
const PAUSE: Duration = Duration::from_millis(200);

/// What `/system/df` says of volumes.
#[derive(Deserialize)]
struct Usage {
    #[serde(rename = "Volumes")]
    volumes: Option<Vec<Used>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Used {
    name: String,
    usage_data: Option<UsageData>,
}

/// Less than 0 is not known.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UsageData {
    size: i64,
    ref_count: i64,
}

impl Engine {
    /// Volumes that are called as the library's are, bear no labels, hold nothing, and are of no
    /// container.
    pub async fn bare_volumes(&self) -> Result<Vec<String>, Error> {
        let listed = self.docker.list_volumes(None::<ListVolumesOptions>).await;
        let listed = listed.map_err(self.failed("list volumes"))?.volumes.unwrap_or_default();
        let mut bare: Vec<_> = listed
            .into_iter()
            .filter(|volume| volume.labels.is_empty() && StageName::of_volume(&volume.name).is_some())
            .map(|volume| volume.name)
            .collect();
        // Measuring takes long where there is much to measure.
        if bare.is_empty() {
            return Ok(bare);
        }
        let empty = self.empty_volumes().await?;
        bare.retain(|name| empty.contains(name));
        let mut still_bare = Vec::new();
        for name in bare {
            // Engine: a list shows one that is being made, without its labels; a look waits for them.
            match self.docker.inspect_volume(&name).await {
                Ok(found) if found.labels.is_empty() => still_bare.push(name),
                Ok(_) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {}
                Err(error) => return Err(self.failed(format!("look at the volume {name}"))(error)),
            }
        }
        Ok(still_bare)
    }

    async fn empty_volumes(&self) -> Result<BTreeSet<String>, Error> {
        let own = self.docker.client_version();
        let path =
            format!("/v{}.{}/system/df?type=volume", own.major_version, own.minor_version.min(MINOR_MAX));
        let asked = async {
            loop {
                let (status, bytes) = match self.address.split_once("://") {
                    Some(("unix", socket)) => get(UnixStream::connect(socket).await?, &path).await?,
                    Some((_, host)) => {
                        get(TcpStream::connect(host.trim_end_matches('/')).await?, &path).await?
                    }
                    None => return Err(io::ErrorKind::InvalidInput.into()),
                };
                if !is_measuring(status, &bytes) {
                    return Ok::<_, io::Error>((status, bytes));
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let answer = tokio::time::timeout(Duration::from_secs(PATIENCE_S), asked).await;
        let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let (status, bytes) = answer.map_err(|err| self.failed("measure volumes")(err.into()))?;
        let unread = |reason: String| Error::Engine { doing: "measure volumes".to_owned(), reason };
        if status != StatusCode::OK {
            return Err(unread(format!("{status}: {}", String::from_utf8_lossy(&bytes))));
        }
        empty_and_unused(&bytes).map_err(|error| unread(error.to_string()))
    }
}

async fn get<S>(stream: S, path: &str) -> io::Result<(StatusCode, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path).header(header::HOST, "docker").body(Empty::<Bytes>::new());
    let answer = sender.send_request(request.map_err(io::Error::other)?).await.map_err(io::Error::other)?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(io::Error::other)?;
    connection.abort();
    Ok((status, body.to_bytes()))
}

/// Engine: before 23.0 who asks while it measures for somebody else is refused.
fn is_measuring(status: StatusCode, answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    status == StatusCode::INTERNAL_SERVER_ERROR && text.contains("disk usage operation is already running")
}

fn empty_and_unused(answer: &[u8]) -> serde_json::Result<BTreeSet<String>> {
    let usage: Usage = serde_json::from_slice(answer)?;
    let volumes = usage.volumes.unwrap_or_default().into_iter();
    let is_bare = |data: &UsageData| data.size == 0 && data.ref_count == 0;
    Ok(volumes
        .filter(|volume| volume.usage_data.as_ref().is_some_and(is_bare))
        .map(|volume| volume.name)
        .collect())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::{empty_and_unused, is_measuring};

    #[test]
    fn an_engine_that_measures_for_somebody_else_is_asked_again() {
        let busy = br#"{"message":"a disk usage operation is already running"}"#;
        assert!(is_measuring(StatusCode::INTERNAL_SERVER_ERROR, busy));
        assert!(!is_measuring(StatusCode::INTERNAL_SERVER_ERROR, br#"{"message":"no"}"#));
        assert!(!is_measuring(StatusCode::OK, busy));
    }

    #[test]
    fn only_what_is_known_to_be_empty_and_unused_is() {
        let of = |name: &str, data: &str| format!(r#"{{"Name":"{name}","Labels":null{data}}}"#);
        let volumes = [
            of("bare", r#","UsageData":{"RefCount":0,"Size":0}"#),
            of("full", r#","UsageData":{"RefCount":0,"Size":1}"#),
            of("used", r#","UsageData":{"RefCount":1,"Size":0}"#),
            of("unknown", r#","UsageData":{"RefCount":-1,"Size":-1}"#),
            of("unmeasured", ""),
        ];
        let answer = format!(r#"{{"LayersSize":7,"Volumes":[{}]}}"#, volumes.join(","));
        let bare = empty_and_unused(answer.as_bytes()).expect("it reads");
        assert_eq!(bare.into_iter().collect::<Vec<_>>(), ["bare"]);
        assert!(empty_and_unused(br#"{"VolumeUsage":{}}"#).expect("it reads").is_empty());
    }
}
