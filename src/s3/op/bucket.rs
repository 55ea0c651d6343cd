//! ListBuckets, CreateBucket, DeleteBucket, HeadBucket, GetBucketLocation, GetBucketVersioning.
//!
//! AWS: the actions of these names.

use http::StatusCode;

use super::no_such_bucket;
use crate::model::{BucketName, Permission};
use crate::protocol::intake::ChecksumsOf;
use crate::protocol::request::Response;
use crate::s3::call::Call;
use crate::s3::error::{Code, Error};
use crate::s3::response;
use crate::store::{self, Bucket, NewBucket};
use crate::xml::Element;

/// AWS: `ListBuckets`, `max-buckets`.
const BUCKETS_MAX: usize = 10_000;

/// A bucket of this name could be written but never read in path style.
const RESERVED: &str = "pub";

/// ListBuckets: those that the caller may list, by prefix and page.
///
/// S3: whose buckets they are is said by the signature, so that there is no list for nobody.
/// S3: the continuation token is opaque; ours is the last name of the page.
pub(super) fn list_buckets(call: &Call<'_>) -> Result<Response, Error> {
    if call.identity.is_anonymous() {
        return Err(Error::new(Code::AccessDenied));
    }
    let prefix = call.query.get("prefix").unwrap_or_default();
    let after = call.query.get("continuation-token").filter(|token| !token.is_empty());
    let paged = call.query.has("max-buckets");
    let buckets_max = match call.query.get("max-buckets") {
        None => BUCKETS_MAX,
        Some(text) => {
            text.parse().ok().filter(|count| (1..=BUCKETS_MAX).contains(count)).ok_or_else(|| {
                Error::invalid_argument("max-buckets", text, "max-buckets must be a number from 1 to 10000")
            })?
        }
    };
    // Those that the caller may not see are left out first: a token names the last of its page.
    let mut buckets = call.store().list_buckets(prefix, after, usize::MAX)?;
    let region = call.query.get("bucket-region");
    buckets.retain(|bucket| {
        region.is_none_or(|region| bucket.region == region)
            && call.authorize(Permission::List, &bucket.name, "").is_ok()
    });
    let truncated = buckets.len() > buckets_max;
    buckets.truncate(buckets_max);
    let next = buckets.last().filter(|_| truncated).map(|bucket| bucket.name.clone());
    Ok(response::xml("ListAllMyBucketsResult", |xml| {
        xml.element("Owner", |xml| response::owner(xml, &call.identity.owner()));
        xml.element("Buckets", |xml| {
            for bucket in &buckets {
                xml.element("Bucket", |xml| {
                    xml.value("Name", &bucket.name);
                    xml.value("CreationDate", bucket.created.iso());
                    if paged {
                        xml.value("BucketRegion", &bucket.region);
                    }
                });
            }
        });
        if !prefix.is_empty() {
            xml.value("Prefix", prefix);
        }
        xml.optional("ContinuationToken", next);
    }))
}

/// CreateBucket, with or without a `CreateBucketConfiguration`.
///
/// S3: in us-east-1 creating one's own bucket again succeeds; elsewhere it is
/// `BucketAlreadyOwnedByYou`. Scripts that rerun rely on the former.
pub(super) async fn create_bucket(mut call: Call<'_>, bucket: BucketName) -> Result<Response, Error> {
    if bucket.as_str() == RESERVED {
        let words = "The specified bucket is not valid: paths below /pub/ belong to the archive.";
        return Err(Error::with_message(Code::InvalidBucketName, words).field("BucketName", RESERVED));
    }
    if let Some(reason) = bucket.reserved_by_s3() {
        let words = format!("The specified bucket is not valid: {reason}.");
        return Err(Error::with_message(Code::InvalidBucketName, words).field("BucketName", bucket.as_str()));
    }
    let body = call.document(ChecksumsOf::Body).await?;
    let home = &call.config().region;
    let region = location_constraint(&body)?.unwrap_or_else(|| home.clone());
    let new = NewBucket { name: bucket.clone(), region: region.clone(), owner: call.identity.owner() };
    match call.store().create_bucket(new).await {
        Ok(_) => {}
        Err(store::Error::BucketExists { owner, .. }) if owner.id == call.identity.owner().id => {
            if region != "us-east-1" {
                return Err(Error::new(Code::BucketAlreadyOwnedByYou).field("BucketName", bucket.as_str()));
            }
        }
        Err(other) => return Err(other.into()),
    }
    let mut answer = response::empty(StatusCode::OK);
    response::insert(answer.headers_mut(), "location", format_args!("/{bucket}"));
    Ok(answer)
}

/// The region that a document asks for; `None` where it names none.
///
/// S3: us-east-1 is what a bucket without a constraint is in, and cannot be named; nor can nothing. Of
/// the other regions any can be asked for, since a stage stands for S3 in all of them.
fn location_constraint(body: &[u8]) -> Result<Option<String>, Error> {
    if body.is_empty() {
        return Ok(None);
    }
    let document = Element::parse(body, "CreateBucketConfiguration")?;
    // Tags, directory buckets and what S3 will think of next: a bucket without them is another one.
    if let Some(other) = document.children().iter().find(|child| child.name() != "LocationConstraint") {
        let name: String = other.name().chars().take(80).collect();
        return Err(Error::not_implemented(format_args!("CreateBucketConfiguration/{name}")));
    }
    let Some(constraint) = document.find("LocationConstraint")? else { return Ok(None) };
    let region = constraint.text().trim();
    match region {
        "EU" => Ok(Some("eu-west-1".to_owned())),
        _ if region != "us-east-1" && is_region(region) => Ok(Some(region.to_owned())),
        _ => Err(Error::new(Code::InvalidLocationConstraint)
            .field("LocationConstraint", region.chars().take(80).collect::<String>())),
    }
}

/// Whether a text has the form of a region's name: `eu-central-1`, `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let Some((place, number)) = text.rsplit_once('-') else { return false };
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 32 && is_number && place.contains('-') && place.split('-').all(is_word)
}

/// DeleteBucket: only an empty one goes.
pub(super) async fn delete_bucket(call: &Call<'_>, bucket: &BucketName) -> Result<Response, Error> {
    call.store().delete_bucket(bucket).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// HeadBucket: whether it is there, and its region.
pub(super) fn head_bucket(call: &Call<'_>, bucket: &BucketName) -> Result<Response, Error> {
    let bucket = find(call, bucket)?;
    let mut answer = response::empty(StatusCode::OK);
    response::insert(answer.headers_mut(), "x-amz-bucket-region", &bucket.region);
    Ok(answer)
}

/// GetBucketLocation.
///
/// S3: the element is empty for us-east-1.
pub(super) fn get_bucket_location(call: &Call<'_>, bucket: &BucketName) -> Result<Response, Error> {
    let bucket = find(call, bucket)?;
    let region = if bucket.region == "us-east-1" { "" } else { &bucket.region };
    Ok(response::xml("LocationConstraint", |xml| xml.text(region)))
}

/// GetBucketVersioning: versioning was never switched on here, which is an empty document.
pub(super) fn get_bucket_versioning(call: &Call<'_>, bucket: &BucketName) -> Result<Response, Error> {
    find(call, bucket)?;
    Ok(response::xml("VersioningConfiguration", |_| {}))
}

fn find(call: &Call<'_>, name: &BucketName) -> Result<Bucket, Error> {
    call.store().find_bucket(name)?.ok_or_else(|| no_such_bucket(name))
}

#[cfg(test)]
mod tests {
    use super::location_constraint;
    use crate::s3::error::Code;

    #[test]
    fn a_region_is_any_but_us_east_1_or_none_at_all() {
        let read = |constraint: &str| {
            let document = format!("<CreateBucketConfiguration>{constraint}</CreateBucketConfiguration>");
            location_constraint(document.as_bytes()).map_err(|error| error.code())
        };
        let named = |region: &str| read(&format!("<LocationConstraint>{region}</LocationConstraint>"));
        assert_eq!(location_constraint(b"").ok(), Some(None));
        assert_eq!(read(""), Ok(None));
        assert_eq!(named("EU"), Ok(Some("eu-west-1".to_owned())));
        for region in ["eu-central-1", "us-gov-west-1", "ap-southeast-12", "us-isob-east-1"] {
            assert_eq!(named(region), Ok(Some(region.to_owned())), "{region}");
        }
        for region in
            ["", " ", "us-east-1", "US", "us", "eu-1", "-eu-west-1", "eu-west-", "Eu-west-1", "a/b-c-1"]
        {
            assert_eq!(named(region), Err(Code::InvalidLocationConstraint), "{region:?}");
        }
        assert_eq!(read("<LocationConstraint/>"), Err(Code::InvalidLocationConstraint));
    }
}
