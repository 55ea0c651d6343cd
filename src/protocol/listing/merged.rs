//! Pages of a bucket: of the store alone where nothing else is listed, or merged with production.

use super::{ListQuery, Page, Pager, Row};
use crate::model::BucketName;
use crate::upstream::Hops;
use crate::view::{self, Sources, Turn, View};

impl Row for view::Row {
    fn key(&self) -> &str {
        self.key()
    }
}

/// A page of the objects of a bucket. It waits where production is asked, and lets others run where it
/// reads much.
pub async fn objects(
    view: &View,
    bucket: &BucketName,
    query: &ListQuery,
    hops: &Hops,
) -> Result<Page<view::Row>, view::Error> {
    if view.merges(bucket) {
        return merged(view, bucket, query, hops).await;
    }
    let mut pager = Pager::new(query);
    let mut turn = Turn::default();
    while let Some(window) = pager.window() {
        pager.take(view.scan_written(bucket, &window.objects(), &mut turn).await?);
    }
    Ok(pager.finish().map(view::Row::Here))
}

/// A page of what is here and what production has.
pub async fn merged(
    view: &View,
    bucket: &BucketName,
    query: &ListQuery,
    hops: &Hops,
) -> Result<Page<view::Row>, view::Error> {
    let mut listing = view.listing(bucket, query.delimiter(), query.keys_max, hops)?;
    page_of(&mut listing, query).await
}

/// A page of a listing that has just begun.
pub(super) async fn page_of<S: Sources>(
    listing: &mut view::Listing<S>,
    query: &ListQuery,
) -> Result<Page<view::Row>, view::Error> {
    let mut pager = Pager::new(query);
    while let Some(window) = pager.window() {
        pager.take(listing.rows(&window.objects()).await?);
    }
    Ok(pager.finish())
}
