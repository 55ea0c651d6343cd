//! What a client of the S3 face is told when something is wrong: one closed table of codes, one
//! rendering.
//!
//! AWS: "Error responses".

mod code;
mod from;

use std::error::Error as StdError;

use http::StatusCode;

pub(in crate::s3) use self::code::Code;
use super::response;
use crate::model::ConditionFailed;
use crate::protocol::outcome::{Answered, Outcome};
use crate::protocol::request::{RequestId, Response};
use crate::protocol::trouble::Kind;
use crate::xml::Writer;

/// An answer of the S3 face that is not a success.
#[derive(Debug, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub(in crate::s3) struct Error {
    code: Code,
    message: String,
    fields: Vec<(&'static str, String)>,
    /// Which upstream has failed, and how, if one has.
    upstream: Option<Box<(Kind, String)>>,
    /// Logged, never sent.
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error in AWS's own words.
    pub(in crate::s3) fn new(code: Code) -> Self {
        Self { code, message: code.message().to_owned(), fields: Vec::new(), upstream: None, source: None }
    }

    /// An error in more precise words: what was wrong, with which value, and what to do.
    pub(in crate::s3) fn with_message(code: Code, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }

    /// `InvalidArgument` for one header or parameter, with its name and value as S3 gives them.
    pub(in crate::s3) fn invalid_argument(
        name: &'static str,
        value: &str,
        message: impl Into<String>,
    ) -> Self {
        Self::with_message(Code::InvalidArgument, message)
            .field("ArgumentName", name)
            .field("ArgumentValue", value.chars().take(1024).collect::<String>())
    }

    /// `NotImplemented`, naming what is not.
    pub(in crate::s3) fn not_implemented(what: impl std::fmt::Display) -> Self {
        Self::with_message(Code::NotImplemented, format!("{what} is not implemented by understudy yet."))
    }

    /// Adds an XML element besides Code and Message, such as `Key`.
    pub(in crate::s3) fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Keeps what caused it, for the log alone.
    pub(in crate::s3) fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The code.
    pub(in crate::s3) fn code(&self) -> Code {
        self.code
    }

    /// The words for the client.
    pub(in crate::s3) fn message(&self) -> &str {
        &self.message
    }
}

/// Characters that XML 1.0 has no place for, not even as a reference: a key may hold them, and a
/// client that cannot read the document would not learn the code.
fn not_in_xml(character: char) -> bool {
    matches!(character, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

impl Error {
    /// Renders the document. A 416 says how large the object is, as a range client needs.
    pub(in crate::s3) fn render(&self, resource: &str, request_id: RequestId) -> Response {
        let document = Writer::bare_document("Error", |xml| {
            xml.value("Code", self.code.name());
            xml.value("Message", self.message.replace(not_in_xml, "\u{fffd}"));
            for (name, value) in &self.fields {
                xml.value(name, value.replace(not_in_xml, "\u{fffd}"));
            }
            xml.value("Resource", resource);
            xml.value("RequestId", request_id);
            xml.value("HostId", "understudy");
        });
        let mut answer = response::document(self.code.status(), document);
        if let Some((_, size)) = self.fields.iter().find(|(name, _)| *name == "ActualObjectSize") {
            response::insert(answer.headers_mut(), "content-range", format_args!("bytes */{size}"));
        }
        if let Some(seconds) = self.upstream.as_ref().and_then(|upstream| upstream.0.retry_after()) {
            response::insert(answer.headers_mut(), "retry-after", seconds);
        }
        answer
    }

    /// Tells the request log what happened: a 5xx with its causes.
    pub(in crate::s3) fn note(&self, outcome: &mut Outcome) {
        outcome.code = Some(self.code.name());
        if let Some(upstream) = &self.upstream {
            outcome.upstream_failed(&upstream.1, self);
            return;
        }
        match self.code.status() {
            status if status.is_server_error() && self.code != Code::NotImplemented => outcome.fail(self),
            StatusCode::FORBIDDEN => outcome.answered = Answered::Refused,
            // The operation has said already why there is nothing.
            StatusCode::NOT_FOUND => {}
            _ => outcome.answered = Answered::Rejected,
        }
    }
}

impl Error {
    /// A condition on the source of a copy did not hold: S3 answers 412, never 304.
    pub(in crate::s3) fn source_condition(failed: ConditionFailed) -> Self {
        let condition = match failed {
            ConditionFailed::NotModified => "x-amz-copy-source-If-None-Match",
            ConditionFailed::Precondition(name) => name,
            ConditionFailed::Missing => "x-amz-copy-source-If-Match",
        };
        Self::new(Code::PreconditionFailed).field("Condition", condition)
    }
}
