//! One file per operation or close family. An operation reads its input from the call, does one
//! thing with the store, and renders the answer; it never imports another operation.

mod batch;
mod bucket;
mod compose;
mod delete_object;
mod get_object;
mod insert;
mod list_objects;
mod move_object;
mod resumable;
mod rewrite;
mod token;
mod update;

use super::call::Call;
use super::error::Error;
use super::route::Operation;
use crate::protocol::request::Response;

/// Runs the operation of a call: the one match from [`Operation`] to function.
pub(super) async fn run(operation: Operation, call: Call<'_>) -> Result<Response, Error> {
    match operation {
        Operation::ListBuckets => bucket::list(&call),
        Operation::InsertBucket => bucket::insert(call).await,
        Operation::GetBucket(name) => bucket::get(&call, &name),
        Operation::PatchBucket(name) => bucket::patch(call, name).await,
        Operation::DeleteBucket(name) => bucket::delete(&call, &name).await,
        Operation::GetStorageLayout(name) => bucket::storage_layout(&call, &name),
        Operation::TestIamPermissions(name) => bucket::test_permissions(&call, &name),
        Operation::ListObjects(name) => list_objects::list(&call, &name).await,
        Operation::GetObject(place) => get_object::get(call, &place).await,
        Operation::Download(place) => get_object::download(call, &place).await,
        Operation::PatchObject(place) => update::patch(call, place).await,
        Operation::UpdateObject(place) => update::update(call, place).await,
        Operation::DeleteObject(place) => delete_object::delete(&call, place).await,
        Operation::ComposeObject(place) => compose::compose(call, place).await,
        Operation::CopyObject(from, to) => rewrite::copy(call, from, to).await,
        Operation::RewriteObject(from, to) => rewrite::rewrite(call, from, to).await,
        Operation::MoveObject(from, to) => move_object::rename(call, from, to).await,
        Operation::InsertObject(bucket) => insert::insert(call, bucket).await,
        Operation::ContinueUpload(bucket) => resumable::resume(call, bucket).await,
        Operation::CancelUpload(bucket) => resumable::cancel(&call, bucket).await,
        Operation::Batch => batch::batch(call).await,
        Operation::Token => token::token(call).await,
    }
}
