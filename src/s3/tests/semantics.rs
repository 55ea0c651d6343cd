//! What S3 does inside its operations, case by case, as it was found in use.

use http::StatusCode;

use super::{Answer, Stage};

/// The time at which the stage stands still, and one second before and after it.
const NOW: &str = "Fri, 20 Nov 2026 21:20:19 GMT";
const BEFORE: &str = "2026-11-20T21:20:18Z";
const AFTER: &str = "2026-11-20T21:20:20Z";

async fn stage_with_key() -> Stage {
    let stage = Stage::new();
    stage.put("/bucket", "").await;
    stage.put("/bucket/key", "hello").await;
    stage
}

fn code(answer: &Answer) -> String {
    let text = answer.text();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    code.map(|(code, _)| code.to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn date_conditions_of_a_read_take_iso_and_ignore_the_future_and_what_is_no_date() {
    let stage = stage_with_key().await;
    for (header, value, status) in [
        ("if-modified-since", BEFORE, 200),
        ("if-modified-since", NOW, 304),
        ("if-modified-since", "2026-11-20T21:20:19Z", 304),
        ("if-modified-since", AFTER, 200),
        ("if-modified-since", "Fri, 20 Nov 2026 21:20:20 GMT", 200),
        ("if-modified-since", "tomorrow", 200),
        ("if-unmodified-since", BEFORE, 412),
        ("if-unmodified-since", "Friday, 20-Nov-26 21:20:18 GMT", 412),
        ("if-unmodified-since", "Fri Nov 20 21:20:18 2026", 412),
        ("if-unmodified-since", "Fri, 20 Nov 2026 21:20:18 -0000", 412),
        ("if-unmodified-since", NOW, 200),
        ("if-unmodified-since", AFTER, 200),
        ("if-unmodified-since", "yesterday", 200),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = stage.send(&format!("{method} /bucket/key"), &[(header, value)], "").await;
            assert_eq!(answer.status.as_u16(), status, "{method} {header}: {value}");
        }
    }
}

#[tokio::test]
async fn date_conditions_on_the_source_of_a_copy_hold_in_every_form() {
    let stage = stage_with_key().await;
    for (header, value, status) in [
        ("x-amz-copy-source-if-unmodified-since", "2020-01-01T00:00:00Z", 412),
        ("x-amz-copy-source-if-unmodified-since", "Wed, 01 Jan 2020 00:00:00 GMT", 412),
        ("x-amz-copy-source-if-unmodified-since", NOW, 200),
        ("x-amz-copy-source-if-unmodified-since", AFTER, 200),
        ("x-amz-copy-source-if-unmodified-since", "2020", 200),
        ("x-amz-copy-source-if-modified-since", BEFORE, 200),
        ("x-amz-copy-source-if-modified-since", "2026-11-20T21:20:19.000Z", 412),
        ("x-amz-copy-source-if-modified-since", AFTER, 200),
        ("x-amz-copy-source-if-modified-since", "now", 200),
    ] {
        let headers = [("x-amz-copy-source", "/bucket/key"), (header, value)];
        let answer = stage.send("PUT /bucket/copy", &headers, "").await;
        assert_eq!(answer.status.as_u16(), status, "{header}: {value}: {}", answer.text());
        let created = stage.send("DELETE /bucket/copy", &[], "").await;
        assert_eq!(created.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_weak_tag_revalidates_and_protects_nothing() {
    let stage = stage_with_key().await;
    let etag = stage.get("HEAD /bucket/key").await.header("etag").to_owned();
    let (weak, list) = (format!("W/{etag}"), format!("\"other\", W/{etag}"));
    for (header, value, status) in [
        ("if-none-match", &weak, 304),
        ("if-none-match", &list, 304),
        ("if-match", &weak, 412),
        ("if-match", &list, 412),
    ] {
        let answer = stage.send("GET /bucket/key", &[(header, value)], "").await;
        assert_eq!(answer.status.as_u16(), status, "{header}: {value}");
    }
    for (value, status) in [(&etag, 206), (&weak, 200)] {
        let answer = stage.send("GET /bucket/key", &[("range", "bytes=0-0"), ("if-range", value)], "").await;
        assert_eq!(answer.status.as_u16(), status, "if-range: {value}");
    }
    let answer = stage.send("PUT /bucket/key", &[("if-match", &weak)], "new").await;
    assert_eq!(code(&answer), "PreconditionFailed", "{}", answer.text());
    let copy = [("x-amz-copy-source", "bucket/key"), ("x-amz-copy-source-if-none-match", &weak)];
    let answer = stage.send("PUT /bucket/copy", &copy, "").await;
    assert_eq!(code(&answer), "PreconditionFailed", "{}", answer.text());
}

#[tokio::test]
async fn a_copy_onto_itself_is_taken_where_it_names_a_change() {
    let stage = stage_with_key().await;
    for (headers, expected) in [
        (&[][..], "InvalidRequest"),
        (&[("x-amz-metadata-directive", "COPY"), ("x-amz-tagging-directive", "COPY")], "InvalidRequest"),
        (&[("x-amz-storage-class", "STANDARD")], ""),
        (&[("x-amz-website-redirect-location", "/other")], ""),
        (&[("x-amz-metadata-directive", "REPLACE")], ""),
        (&[("x-amz-tagging-directive", "REPLACE")], ""),
        (&[("x-amz-checksum-algorithm", "SHA256")], ""),
        // Refused for what it asks, not for being a copy onto itself.
        (&[("x-amz-storage-class", "GLACIER")], "NotImplemented"),
        (&[("x-amz-server-side-encryption", "aws:kms")], "NotImplemented"),
    ] {
        let mut all = vec![("x-amz-copy-source", "/bucket/key")];
        all.extend(headers);
        let answer = stage.send("PUT /bucket/key", &all, "").await;
        assert_eq!(code(&answer), expected, "{headers:?}: {}", answer.text());
    }
    assert_eq!(stage.get("GET /bucket/key").await.text(), "hello");
}

#[tokio::test]
async fn a_copy_has_a_website_redirect_of_its_own_or_none() {
    const REDIRECT: &str = "x-amz-website-redirect-location";
    let stage = stage_with_key().await;
    let headers = [(REDIRECT, "/first"), ("x-amz-meta-build", "1"), ("content-type", "text/plain")];
    assert_eq!(stage.send("PUT /bucket/source", &headers, "hello").await.status, StatusCode::OK);
    for (sent, expected) in [(Some("/second"), "/second"), (None, "")] {
        let mut all = vec![("x-amz-copy-source", "/bucket/source")];
        all.extend(sent.map(|location| (REDIRECT, location)));
        let answer = stage.send("PUT /bucket/copy", &all, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let head = stage.get("HEAD /bucket/copy").await;
        assert_eq!(head.header(REDIRECT), expected);
        assert_eq!((head.header("x-amz-meta-build"), head.header("content-type")), ("1", "text/plain"));
    }
}

#[tokio::test]
async fn a_copy_source_may_have_its_first_slash_encoded() {
    let stage = stage_with_key().await;
    for source in ["bucket/key", "/bucket/key", "%2Fbucket%2Fkey", "%2fbucket/key"] {
        let answer = stage.send("PUT /bucket/copy", &[("x-amz-copy-source", source)], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{source}: {}", answer.text());
    }
}

#[tokio::test]
async fn nobody_has_a_list_of_buckets() {
    let stage = stage_with_key().await;
    let answer = stage.send("GET /", &[], "").await;
    assert_eq!((answer.status, code(&answer).as_str()), (StatusCode::FORBIDDEN, "AccessDenied"));
    let answer = stage.signed("GET /", &[]).await;
    assert!(answer.text().contains("<Name>bucket</Name>"), "{}", answer.text());
}

#[tokio::test]
async fn response_headers_are_chosen_by_a_signed_request_alone_and_in_iso_8859_1() {
    let stage = stage_with_key().await;
    let line = |value: &str| format!("GET /bucket/key?response-content-disposition={value}");
    let answer = stage.send(&line("inline"), &[], "").await;
    assert_eq!((answer.status, code(&answer).as_str()), (StatusCode::BAD_REQUEST, "InvalidRequest"));
    let answer = stage.send("HEAD /bucket/key?response-expires=0", &[], "").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    // Who may choose them is said first, as the signature is checked before the operation begins.
    let answer = stage.send(&line("%E2%80%93"), &[], "").await;
    assert_eq!(code(&answer), "InvalidArgument", "{}", answer.text());
    assert!(
        answer.text().contains("<ArgumentName>response-content-disposition</ArgumentName>"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_bucket_of_a_reserved_name_or_in_no_region_is_not_made() {
    let stage = Stage::new();
    for name in
        ["sthree-a", "amzn-s3-demo-bucket", "a1-s3alias", "a1--ol-s3", "abc.mrap", "a1--x-s3", "a1--table-s3"]
    {
        let answer = stage.send(&format!("PUT /{name}"), &[], "").await;
        assert_eq!(code(&answer), "InvalidBucketName", "{name}: {}", answer.text());
        let answer = stage.send(&format!("GET /{name}"), &[], "").await;
        assert_eq!(code(&answer), "NoSuchBucket", "{name}: {}", answer.text());
    }
    for region in ["us-east-1", "", "nowhere"] {
        let document = format!(
            "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        );
        let answer = stage.send("PUT /bucket", &[], &document).await;
        assert_eq!(code(&answer), "InvalidLocationConstraint", "{region}: {}", answer.text());
        assert_eq!(stage.send("HEAD /bucket", &[], "").await.status, StatusCode::NOT_FOUND, "{region}");
    }
}

#[tokio::test]
async fn tags_that_s3_refuses_are_refused_in_its_words() {
    let stage = stage_with_key().await;
    for (tagging, expected) in [
        ("aws:created=1", "InvalidTag"),
        ("%zz=1", "InvalidArgument"),
        ("a=1&a=2", "InvalidArgument"),
        ("a=%FF", "InvalidArgument"),
        ("a=1%21", "InvalidArgument"),
    ] {
        let answer = stage.send("PUT /bucket/tagged", &[("x-amz-tagging", tagging)], "").await;
        assert_eq!(code(&answer), expected, "{tagging}: {}", answer.text());
        assert_eq!(
            stage.send("HEAD /bucket/tagged", &[], "").await.status,
            StatusCode::NOT_FOUND,
            "{tagging}"
        );
    }
    let tag = |key: &str| format!("<Tag><Key>{key}</Key><Value>1</Value></Tag>");
    for (tags, words) in [
        (tag("aws:a"), "Your TagKey cannot be prefixed with aws:"),
        (tag("a") + &tag("a"), "Cannot provide multiple Tags with the same key"),
        (tag("a!"), "The TagKey you have provided is invalid"),
    ] {
        let document = format!("<Tagging><TagSet>{tags}</TagSet></Tagging>");
        let answer = stage.send("PUT /bucket/key?tagging", &[], &document).await;
        assert_eq!(code(&answer), "InvalidTag", "{tags}: {}", answer.text());
        assert!(answer.text().contains(words) && answer.text().contains("<TagKey>a"), "{}", answer.text());
    }
    let answer = stage.get("GET /bucket/key?tagging").await;
    assert!(answer.text().contains("<TagSet/>"), "{}", answer.text());
}

#[tokio::test]
async fn codings_come_back_as_they_were_sent() {
    let stage = stage_with_key().await;
    for (sent, kept) in [("deflate, gzip", "deflate, gzip"), ("deflate,gzip", "deflate,gzip")] {
        stage.send("PUT /bucket/coded", &[("content-encoding", sent)], "hello").await;
        assert_eq!(stage.get("HEAD /bucket/coded").await.header("content-encoding"), kept);
    }
}

#[tokio::test]
async fn a_part_without_a_checksum_is_answered_with_its_default_one() {
    let stage = stage_with_key().await;
    let answer = stage.send("POST /bucket/parts?uploads", &[], "").await.text();
    let id = answer
        .split_once("<UploadId>")
        .and_then(|(_, rest)| rest.split_once('<'))
        .expect("an id")
        .0
        .to_owned();
    let part = format!("PUT /bucket/parts?partNumber=1&uploadId={id}");
    let answer = stage.send(&part, &[], "123456789").await;
    assert_eq!(answer.header("x-amz-checksum-crc64nvme"), "rosUhgp5mIg=", "{:?}", answer.headers);
    assert_eq!(answer.header("x-amz-checksum-type"), "", "only an object has a type");
    let listed = stage.get(&format!("GET /bucket/parts?uploadId={id}")).await;
    assert!(!listed.text().contains("Checksum"), "{}", listed.text());
    let answer = stage.send(&part, &[("x-amz-checksum-crc32", "y/Q5Jg==")], "123456789").await;
    assert_eq!(
        (answer.header("x-amz-checksum-crc32"), answer.header("x-amz-checksum-crc64nvme")),
        ("y/Q5Jg==", "")
    );
}
