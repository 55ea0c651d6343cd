//! Uploads as clients differ in sending them, and those that are refused before their bytes come.

use super::{Fixture, Frames, refusal};
use crate::protocol::body::{BodyError, ByteCount, receive};

#[tokio::test]
async fn who_may_do_nothing_in_a_bucket_is_refused_before_the_document_is_read() {
    let fixture = Fixture::new(&["read,write:other/"]).await;
    for kind in ["media&name=a", "multipart", "resumable"] {
        let line = format!("POST /upload/storage/v1/b/bucket/o?uploadType={kind}");
        let body = receive(Frames([Err(BodyError::TimedOut)].into()), ByteCount::default());
        let answer = fixture.send(&line, &[("content-type", "multipart/related; boundary=b")], body).await;
        assert_eq!(refusal(&answer), (401, "required".to_owned()), "{kind}");
    }
}
