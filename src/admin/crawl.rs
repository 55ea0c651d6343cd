//! `GET …/crawl` and `POST …/crawl`: the steps of `understudy upstream index`, kept one by one so that
//! a crawl resumes where it stopped. The crawling itself is the command line's.

use http::StatusCode;

use super::api::{Progress, Step};
use super::refusal::Refusal;
use super::{response, row};
use crate::model::BucketName;
use crate::protocol::request::Response;
use crate::store::{Crawl, Store};

/// How far a crawl is.
pub(super) fn get(store: &Store, bucket: &BucketName, prefix: &str) -> Result<Response, Refusal> {
    let progress = store.find_crawl(bucket, prefix)?.map_or_else(Progress::default, described);
    Ok(response::json(StatusCode::OK, &progress))
}

/// Keeps a step: all of it or nothing.
pub(super) async fn keep(store: &Store, bucket: &BucketName, step: Step) -> Result<Response, Refusal> {
    let Step { prefix, rows, done, found } = step;
    if let Some(outside) = done.iter().chain(&found).find(|folder| !folder.starts_with(&prefix)) {
        return Err(Refusal::Malformed(format!("the folder {outside:?} is not below {prefix:?}")));
    }
    let mut parsed = Vec::with_capacity(rows.len());
    for value in rows {
        let read = row::parse(&value.to_string())
            .map_err(|error| Refusal::Malformed(format!("row {}: {error}", parsed.len() + 1)))?;
        if !read.key.as_str().starts_with(&prefix) {
            return Err(Refusal::Malformed(format!(
                "the key {:?} is not below {prefix:?}",
                read.key.as_str()
            )));
        }
        parsed.push(read);
    }
    let crawl = store.keep_crawl(bucket, prefix, parsed, done, found).await?;
    Ok(response::json(StatusCode::OK, &described(crawl)))
}

fn described(crawl: Crawl) -> Progress {
    let Crawl { pending, pending_count, done_count } = crawl;
    Progress { begun: pending_count > 0, pending, pending_count, done_count }
}
