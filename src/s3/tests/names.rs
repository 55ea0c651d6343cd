//! No request runs an operation other than the one that it names, and none that is refused changes
//! anything: every pair of query names against AWS's own list of operations, every header against
//! every operation.

use std::collections::BTreeSet;

use http::{HeaderMap, Method, StatusCode};

use super::Stage;
use crate::model::{BucketName, ObjectKey};
use crate::protocol::query::Query;
use crate::s3::error::Error;
use crate::s3::header::{self, Treatment};
use crate::s3::operation::Operation;
use crate::s3::route::Target;
use crate::s3::{parameter, sub_resource};

/// A line of `reference.tsv`.
pub(super) struct Row {
    pub(super) operation: Operation,
    pub(super) method: Method,
    target: &'static str,
    pub(super) sub_resource: Option<&'static str>,
    parameters: Vec<&'static str>,
    headers: Vec<&'static str>,
}

impl Row {
    pub(super) fn is_of_an_object(&self) -> bool {
        self.target == "object"
    }
}

/// AWS's reference, as botocore has it.
pub(super) fn reference() -> Vec<Row> {
    let list = |text: &'static str| text.split(' ').filter(|name| *name != "-").collect::<Vec<_>>();
    include_str!("reference.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let columns: Vec<_> = line.split('\t').collect();
            let [name, method, target, sub_resource, parameters, headers] = columns[..] else {
                panic!("six columns: {line}");
            };
            let operation = Operation::ALL.iter().find(|operation| operation.name() == name);
            Row {
                operation: *operation.unwrap_or_else(|| panic!("{name} is not among the operations")),
                method: method.parse().expect("a method"),
                target,
                sub_resource: Some(sub_resource).filter(|name| *name != "-"),
                parameters: list(parameters),
                headers: list(headers),
            }
        })
        .collect()
}

const TARGETS: [(&str, &str); 3] = [("service", "/"), ("bucket", "/bucket"), ("object", "/bucket/key")];

fn methods() -> [Method; 7] {
    [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::POST,
        Method::DELETE,
        Method::PATCH,
        Method::from_bytes(b"PROPFIND").expect("a method"),
    ]
}

/// What a request names: the target, the method and the query names.
#[derive(Clone, Copy)]
struct Asked<'a> {
    target: &'static str,
    method: &'a Method,
    names: &'a [&'static str],
}

/// What AWS's reference says of a request.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// This operation.
    Runs(Operation),
    /// This operation, which leaves out a name, or a refusal.
    RunsOrRefused(Operation),
    Refused,
}

fn is_sub_resource(name: &str) -> bool {
    [sub_resource::OF_BUCKET, sub_resource::OF_OBJECT, sub_resource::OF_OTHER_STORES]
        .into_iter()
        .flatten()
        .any(|row| row.name == name)
}

/// Names that S3 ignores of everything.
fn means_nothing(name: &str) -> bool {
    name == "x-id" || name.starts_with("response-")
}

impl Asked<'_> {
    fn expected(self, reference: &[Row]) -> Expected {
        let subs: Vec<_> = self.names.iter().copied().filter(|name| is_sub_resource(name)).collect();
        if subs.len() > 1 {
            return Expected::Refused;
        }
        let fits = |row: &&Row| {
            row.target == self.target
                && row.method == *self.method
                && row.sub_resource == subs.first().copied()
                // Copies need their header.
                && !matches!(row.operation, Operation::CopyObject | Operation::UploadPartCopy)
                && (row.operation != Operation::UploadPart || self.names.contains(&"partNumber"))
                && (row.operation == Operation::ListObjectsV2) == self.lists_by_version_2()
        };
        let Some(row) = reference.iter().find(fits) else { return Expected::Refused };
        let mut others = self.names.iter().filter(|name| !subs.contains(*name) && !means_nothing(name));
        if others.all(|name| row.parameters.contains(name)) {
            Expected::Runs(row.operation)
        } else if matches!(*self.method, Method::GET | Method::HEAD) {
            Expected::RunsOrRefused(row.operation)
        } else {
            Expected::Refused
        }
    }

    fn lists_by_version_2(self) -> bool {
        let plain = !self.names.iter().any(|name| is_sub_resource(name));
        let lists = self.target == "bucket" && self.method == Method::GET;
        plain && lists && self.names.contains(&"list-type")
    }

    fn query(self) -> String {
        let pair = |name: &&str| {
            let value = match *name {
                "list-type" | "select-type" => "=2",
                "versionId" => "=Eb73HiZyMhLVW54mshpqth8FAh.dY._I",
                "encoding-type" => "=url",
                name if is_sub_resource(name) && name != "uploadId" => "",
                _ => "=1",
            };
            format!("{name}{value}")
        };
        self.names.iter().map(pair).collect::<Vec<_>>().join("&")
    }

    fn found(self) -> Result<Operation, Error> {
        let bucket = BucketName::parse("bucket").expect("a name");
        let target = match self.target {
            "service" => Target::Service,
            "bucket" => Target::Bucket(bucket),
            _ => Target::Object(bucket, ObjectKey::parse("key").expect("a key")),
        };
        let query = Query::parse(&self.query()).expect("a query");
        let found = Operation::find(self.method, &target, &query, &HeaderMap::new());
        found.map(|chosen| chosen.operation)
    }

    fn line(self) -> String {
        let path = TARGETS.iter().find(|(name, _)| *name == self.target).expect("a target").1;
        format!("{} {path}?{}", self.method, self.query())
    }
}

/// Every query name that S3 knows, and one that it does not.
fn names() -> Vec<&'static str> {
    let sub_resources = [sub_resource::OF_BUCKET, sub_resource::OF_OBJECT, sub_resource::OF_OTHER_STORES];
    let sub_resources = sub_resources.into_iter().flatten().map(|row| row.name);
    let names: BTreeSet<_> = sub_resources.chain(parameter::ALL.iter().map(|row| row.name)).collect();
    names.into_iter().collect()
}

fn each_pair(mut visit: impl FnMut(Asked<'_>)) {
    let names = names();
    for (target, _) in TARGETS {
        for method in methods() {
            for (place, first) in names.iter().enumerate() {
                visit(Asked { target, method: &method, names: &[*first] });
                for second in &names[place + 1..] {
                    visit(Asked { target, method: &method, names: &[*first, *second] });
                }
            }
        }
    }
}

#[test]
fn every_operation_and_every_name_of_the_reference_has_its_row() {
    let reference = reference();
    let listed: BTreeSet<_> = reference.iter().map(|row| row.operation.name()).collect();
    let all: BTreeSet<_> = Operation::ALL.iter().map(|operation| operation.name()).collect();
    assert_eq!(listed, all);
    let known = names();
    for row in &reference {
        for name in row.sub_resource.iter().chain(&row.parameters) {
            assert!(known.contains(name), "{} takes {name}, which has no row", row.operation.name());
        }
    }
}

#[test]
fn a_request_runs_the_operation_that_its_names_choose_or_none() {
    let reference = reference();
    let (mut runs, mut refused) = (0, 0);
    each_pair(|asked| {
        let found = asked.found().ok();
        let fits = match asked.expected(&reference) {
            Expected::Runs(operation) => found == Some(operation),
            Expected::RunsOrRefused(operation) => found.is_none_or(|found| found == operation),
            Expected::Refused => found.is_none(),
        };
        assert!(fits, "{}: {found:?}, and not {:?}", asked.line(), asked.expected(&reference));
        *(if found.is_some() { &mut runs } else { &mut refused }) += 1;
    });
    assert!(runs > 2_000 && refused > 20_000, "{runs} run, {refused} are refused");
}

/// A stage with an object, an upload and tags, and all that can be seen of it.
async fn furnished() -> Stage {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    stage.put("/empty", "").await;
    let tags = [("x-amz-tagging", "a=1"), ("x-amz-meta-b", "2")];
    assert_eq!(stage.send("PUT /bucket/key", &tags, "whole").await.status, StatusCode::OK);
    assert_eq!(stage.send("POST /bucket/big?uploads", &[], "").await.status, StatusCode::OK);
    stage
}

async fn seen(stage: &Stage) -> String {
    let mut parts = Vec::new();
    // S3 lists buckets to nobody who has not signed.
    parts.push(stage.signed("GET /", &[]).await.text());
    for line in ["GET /bucket?versions", "GET /bucket?uploads", "GET /bucket/key", "GET /bucket/key?tagging"]
    {
        let answer = stage.get(line).await;
        parts.push(format!("{line} {:?} {}", answer.headers, answer.text()));
    }
    parts.join("\n")
}

#[tokio::test]
async fn what_is_refused_for_its_names_changes_nothing() {
    let (stage, reference) = (furnished().await, reference());
    let before = seen(&stage).await;
    let mut lines = Vec::new();
    each_pair(|asked| {
        let writes = matches!(*asked.method, Method::PUT | Method::POST | Method::DELETE);
        // A pair that is refused is refused by one of its names or by there being two: each name
        // alone is tried, and each beside one that chooses the plain operation's opposite.
        let tried = asked.names.len() == 1 || asked.names.contains(&"uploads");
        if writes && tried && asked.expected(&reference) == Expected::Refused {
            lines.push(asked.line());
        }
    });
    assert!(lines.len() > 500, "{} requests", lines.len());
    for line in lines {
        let answer = stage.send(&line, &[], "replaced").await;
        let refused = matches!(answer.status.as_u16(), 400 | 405 | 501);
        assert!(refused, "{line}: {} {}", answer.status, answer.text());
        let empty = line.replacen("/bucket?", "/empty?", 1);
        stage.send(&empty, &[], "").await;
        assert_eq!(stage.send("HEAD /empty", &[], "").await.status, StatusCode::OK, "{empty} deleted it");
    }
    assert_eq!(seen(&stage).await, before);
}

/// The cases of issue 10, each of which succeeded.
#[tokio::test]
async fn names_that_overwrote_or_deleted_are_refused_by_name() {
    let stage = furnished().await;
    let before = seen(&stage).await;
    let conflict = "Conflicting query string parameters: acl, tagging";
    for (line, code, named) in [
        ("PUT /bucket/key?uploads", "MethodNotAllowed", "UPLOADS"),
        (
            "PUT /bucket/key?partNumber=1",
            "InvalidArgument",
            "This operation does not accept partNumber without uploadId",
        ),
        ("PUT /bucket/key?uploadId=x", "MethodNotAllowed", "<ResourceType>UPLOAD</ResourceType>"),
        ("PUT /bucket/key?restore", "MethodNotAllowed", "RESTORE"),
        ("PUT /bucket/key?select&select-type=2", "MethodNotAllowed", "SELECT"),
        ("PUT /bucket/key?versionId=abc", "InvalidArgument", "This operation does not accept a version-id."),
        ("PUT /bucket/key?versionId=null", "InvalidArgument", "This operation does not accept a version-id."),
        ("PUT /bucket/key?delete", "MethodNotAllowed", "MULTI_OBJECT_DELETE"),
        ("PUT /bucket/key?versions", "InvalidRequest", "?versions"),
        ("PUT /bucket/key?append", "NotImplemented", "?append"),
        ("PUT /bucket/key?compose", "NotImplemented", "?compose"),
        ("PUT /bucket/key?acl&tagging", "InvalidArgument", conflict),
        ("PUT /bucket/key?tagging&acl", "InvalidArgument", conflict),
        ("PUT /bucket/key?list-type=2", "InvalidArgument", "list-type"),
        ("DELETE /bucket/key?uploads", "MethodNotAllowed", "UPLOADS"),
        ("DELETE /bucket/key?partNumber=1", "InvalidArgument", "partNumber"),
        ("DELETE /bucket/key?restore", "MethodNotAllowed", "RESTORE"),
        ("DELETE /bucket/key?delete", "MethodNotAllowed", "MULTI_OBJECT_DELETE"),
        ("DELETE /bucket/key?select&select-type=2", "MethodNotAllowed", "SELECT"),
        ("DELETE /bucket/key?versions", "InvalidRequest", "?versions"),
        ("DELETE /bucket/key?generation=1", "NotImplemented", "?generation"),
        ("DELETE /empty?delete", "MethodNotAllowed", "MULTI_OBJECT_DELETE"),
        ("DELETE /empty?list-type=2", "InvalidArgument", "list-type"),
        ("DELETE /empty?uploadId=x", "InvalidRequest", "?uploadId"),
        ("DELETE /empty?versionId=null", "InvalidArgument", "version-id"),
        ("DELETE /empty?partNumber=1", "InvalidRequest", "Object must have a valid key name."),
        ("PUT /new?retention", "InvalidRequest", "?retention"),
        ("GET /bucket/key?uploads", "MethodNotAllowed", "UPLOADS"),
        ("GET /bucket/key?versions", "InvalidRequest", "?versions"),
        ("GET /bucket/key?uploadId=x&partNumber=1", "MethodNotAllowed", "<ResourceType>PART</ResourceType>"),
        ("GET /bucket?list-type=2&marker=a", "InvalidArgument", "Marker unsupported"),
        ("GET /bucket?start-after=a", "InvalidArgument", "startAfter only supported"),
        ("GET /bucket?versionId=null", "InvalidArgument", "version-id"),
        ("POST /bucket/key?delete", "MethodNotAllowed", "MULTI_OBJECT_DELETE"),
        ("POST /bucket?restore", "InvalidRequest", "?restore"),
    ] {
        let answer = stage.send(line, &[], "replaced").await;
        let text = answer.text();
        assert!(text.contains(&format!("<Code>{code}</Code>")), "{line}: {} {text}", answer.status);
        assert!(text.contains(named), "{line}: {text}");
    }
    for line in ["HEAD /bucket/key?uploadId=x", "HEAD /bucket/key?acl", "HEAD /bucket?versions"] {
        assert_eq!(stage.send(line, &[], "").await.status, StatusCode::METHOD_NOT_ALLOWED, "{line}");
    }
    assert_eq!(seen(&stage).await, before);
}

#[tokio::test]
async fn names_that_s3_does_not_know_are_ignored() {
    let stage = furnished().await;
    for line in [
        "PUT /bucket/new?x-id=PutObject",
        "PUT /bucket/new?content-type=text/plain&Expires=1",
        "PUT /bucket/new?Uploads&VersionId=1",
        "GET /bucket/key?x-id=GetObject&cache-buster=7",
        "GET /bucket/key?prefix=a&max-keys=1",
        "GET /bucket?max-parts=7&fetch-owner=true",
        "HEAD /bucket?list-type=2&prefix=a",
        "DELETE /bucket/new?x-id=DeleteObject",
    ] {
        let answer = stage.send(line, &[], "").await;
        assert!(answer.status.is_success(), "{line}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_version_id_is_read_alike_wherever_it_stands() {
    let stage = furnished().await;
    let before = seen(&stage).await;
    let other = "Eb73HiZyMhLVW54mshpqth8FAh.dY._I";
    let tagging = "<Tagging><TagSet/></Tagging>";
    let mut sources = Vec::new();
    for id in ["foo", "", other] {
        sources.push((id, format!("bucket/key?versionId={id}")));
    }
    let header = |id: &str| sources.iter().find(|(known, _)| *known == id).expect("a source").1.as_str();
    for (id, status, code) in
        [("foo", 400, "InvalidArgument"), ("", 400, "InvalidArgument"), (other, 404, "NoSuchVersion")]
    {
        let query = format!("versionId={id}");
        for (line, headers, content) in [
            (format!("GET /bucket/key?{query}"), None, ""),
            (format!("GET /bucket/absent?{query}"), None, ""),
            (format!("GET /bucket/key?tagging&{query}"), None, ""),
            (format!("PUT /bucket/key?tagging&{query}"), None, tagging),
            (format!("DELETE /bucket/key?tagging&{query}"), None, ""),
            ("PUT /bucket/copy".to_owned(), Some(("x-amz-copy-source", header(id))), ""),
        ] {
            let answer = stage.send(&line, headers.as_slice(), content).await;
            assert_eq!(answer.status.as_u16(), status, "{line}: {}", answer.text());
            assert!(answer.text().contains(&format!("<Code>{code}</Code>")), "{line}: {}", answer.text());
        }
        let head = stage.send(&format!("HEAD /bucket/key?{query}"), &[], "").await;
        assert_eq!(head.status.as_u16(), status, "HEAD ?{query}");
    }
    assert_eq!(stage.send("DELETE /bucket/key?versionId=foo", &[], "").await.status.as_u16(), 400);
    // S3: to delete a version that does not exist succeeds.
    assert_eq!(
        stage.send(&format!("DELETE /bucket/key?versionId={other}"), &[], "").await.status.as_u16(),
        204
    );
    assert_eq!(seen(&stage).await, before);
    assert_eq!(stage.get("GET /bucket/key?versionId=null").await.text(), "whole");
    stage.get("DELETE /bucket/key?tagging&versionId=null").await;
    stage.get("DELETE /bucket/key?versionId=null").await;
    assert_eq!(stage.send("HEAD /bucket/key", &[], "").await.status, StatusCode::NOT_FOUND);
}

#[test]
fn every_header_of_the_reference_has_its_row() {
    let harmless = [
        "x-amz-request-payer",
        "x-amz-bypass-governance-retention",
        "x-amz-mfa",
        "x-amz-optional-object-attributes",
    ];
    let served = |operation: Operation| SERVED.iter().any(|(served, _)| *served == operation);
    for row in reference() {
        for name in row.headers {
            let found = header::ALL.iter().find(|header| header.is(name));
            let treatment = found.map(|found| found.treatment(row.operation));
            if served(row.operation) {
                let ignored = matches!(treatment, None | Some(Treatment::Ignored));
                assert_eq!(ignored, harmless.contains(&name), "{}: {name}", row.operation.name());
            }
        }
    }
    for (place, row) in header::ALL.iter().enumerate() {
        let hidden = header::ALL[..place].iter().any(|before| before.is(row.name));
        assert!(!hidden, "{} stands behind its family", row.name);
    }
}

/// A request of each operation that is served, which would succeed but for what a test adds.
const SERVED: &[(Operation, &str)] = &[
    (Operation::ListBuckets, "GET /"),
    (Operation::CreateBucket, "PUT /new"),
    (Operation::DeleteBucket, "DELETE /empty"),
    (Operation::HeadBucket, "HEAD /bucket"),
    (Operation::GetBucketLocation, "GET /bucket?location"),
    (Operation::GetBucketVersioning, "GET /bucket?versioning"),
    (Operation::ListObjects, "GET /bucket"),
    (Operation::ListObjectsV2, "GET /bucket?list-type=2"),
    (Operation::ListObjectVersions, "GET /bucket?versions"),
    (Operation::ListMultipartUploads, "GET /bucket?uploads"),
    (Operation::DeleteObjects, "POST /bucket?delete"),
    (Operation::GetObject, "GET /bucket/key"),
    (Operation::HeadObject, "HEAD /bucket/key"),
    (Operation::PutObject, "PUT /bucket/key"),
    (Operation::CopyObject, "PUT /bucket/copy"),
    (Operation::DeleteObject, "DELETE /bucket/key"),
    (Operation::GetObjectTagging, "GET /bucket/key?tagging"),
    (Operation::PutObjectTagging, "PUT /bucket/key?tagging"),
    (Operation::DeleteObjectTagging, "DELETE /bucket/key?tagging"),
    (Operation::CreateMultipartUpload, "POST /bucket/key?uploads"),
    (Operation::UploadPart, "PUT /bucket/big?partNumber=1&uploadId=ID"),
    (Operation::UploadPartCopy, "PUT /bucket/big?partNumber=1&uploadId=ID"),
    (Operation::ListParts, "GET /bucket/big?uploadId=ID"),
    (Operation::CompleteMultipartUpload, "POST /bucket/big?uploadId=ID"),
    (Operation::AbortMultipartUpload, "DELETE /bucket/big?uploadId=ID"),
];

#[tokio::test]
async fn headers_that_an_operation_does_not_honour_change_nothing() {
    let stage = furnished().await;
    let uploads = stage.get("GET /bucket?uploads").await.text();
    let (_, rest) = uploads.split_once("<UploadId>").expect("an upload");
    let id = rest.split('<').next().expect("its end");
    let before = seen(&stage).await;
    let mut refused = 0;
    for (operation, line) in SERVED {
        let line = line.replace("=ID", &format!("={id}"));
        let copies = matches!(operation, Operation::CopyObject | Operation::UploadPartCopy);
        let source = copies.then_some(("x-amz-copy-source", "bucket/key"));
        for row in header::ALL {
            let (code, status) = match row.treatment(*operation) {
                Treatment::Honoured | Treatment::Ignored => continue,
                Treatment::Only(_) | Treatment::Refused => ("NotImplemented", 501),
                Treatment::OnlyOfCopies => ("InvalidArgument", 400),
            };
            let name =
                if row.name.ends_with('-') { format!("{}other", row.name) } else { row.name.to_owned() };
            let mut headers = vec![(name.as_str(), "0")];
            headers.extend(source);
            let answer = stage.send(&line, &headers, "replaced").await;
            assert_eq!(answer.status.as_u16(), status, "{line} {name}: {}", answer.text());
            let is_head = line.starts_with("HEAD");
            assert!(is_head || answer.text().contains(&format!("<Code>{code}</Code>")), "{line} {name}");
            assert!(is_head || answer.text().contains(&name), "{line} {name}: {}", answer.text());
            refused += 1;
        }
        assert_eq!(seen(&stage).await, before, "{line}");
    }
    assert!(refused > 100, "{refused} requests");
    assert_eq!(stage.send("HEAD /new", &[], "").await.status, StatusCode::NOT_FOUND);
}

/// The cases of issue 10: the first overwrote, the second stored an empty object.
#[tokio::test]
async fn google_s_headers_are_refused_honoured_or_harmless() {
    let stage = furnished().await;
    let before = seen(&stage).await;
    for (name, value) in [
        ("x-goog-if-generation-match", "0"),
        ("x-goog-copy-source", "bucket/other"),
        ("x-goog-acl", "public-read"),
        ("x-goog-what-comes-next", "1"),
        ("x-goog-hash", "crc32c=AAAAAA=="),
        ("x-goog-hash", "md5=AAAAAAAAAAAAAAAAAAAAAA=="),
        ("x-goog-hash", "sha1=AA=="),
    ] {
        let answer = stage.send("PUT /bucket/key", &[(name, value)], "hello").await;
        let refused = matches!(answer.status.as_u16(), 400 | 501);
        assert!(refused && answer.text().contains(name), "{name}: {value}: {}", answer.text());
    }
    assert_eq!(seen(&stage).await, before);
    let digests = "crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg==";
    let taken = [
        ("x-goog-hash", digests),
        ("x-goog-meta-build", "7"),
        ("x-goog-api-client", "gl-python/3"),
        ("x-goog-user-project", "release"),
    ];
    let answer = stage.send("PUT /bucket/key", &taken, "hello").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(stage.get("GET /bucket/key").await.header("x-amz-meta-build"), "7");
}
