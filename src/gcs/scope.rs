//! OAuth scopes: how much of what its account may do a token may do. Pure.
//!
//! GCS: "Cloud Storage authentication", "OAuth 2.0 scopes"; the scopes of each method are those of the
//! discovery document.

use super::route::Operation;

/// The most that a token may be used for. Each one includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// `devstorage.read_only`
    ReadOnly,
    /// `devstorage.read_write`
    ReadWrite,
    /// `devstorage.full_control`
    FullControl,
}

/// Every scope that is understood. Those without a [`Scope`] are of other services and give nothing here.
const SCOPES: [(&str, Option<Scope>); 9] = [
    ("https://www.googleapis.com/auth/cloud-platform", Some(Scope::FullControl)),
    ("https://www.googleapis.com/auth/cloud-platform.read-only", Some(Scope::ReadOnly)),
    ("https://www.googleapis.com/auth/devstorage.full_control", Some(Scope::FullControl)),
    ("https://www.googleapis.com/auth/devstorage.read_only", Some(Scope::ReadOnly)),
    ("https://www.googleapis.com/auth/devstorage.read_write", Some(Scope::ReadWrite)),
    ("https://www.googleapis.com/auth/userinfo.email", None),
    ("https://www.googleapis.com/auth/userinfo.profile", None),
    ("email", None),
    ("openid", None),
];

/// Whether a scope gives nothing here, whatever it says.
fn is_of_another_service(name: &str) -> bool {
    let service = name.strip_prefix("https://www.googleapis.com/auth/");
    service
        .is_some_and(|service| !service.starts_with("devstorage") && !service.starts_with("cloud-platform"))
}

impl Scope {
    /// The letter that stands for it in a token of ours.
    pub(super) fn letter(self) -> &'static str {
        match self {
            Self::ReadOnly => "r",
            Self::ReadWrite => "w",
            Self::FullControl => "f",
        }
    }

    /// Reads what [`Scope::letter`] wrote.
    pub(super) fn of_letter(text: &str) -> Option<Self> {
        [Self::ReadOnly, Self::ReadWrite, Self::FullControl].into_iter().find(|scope| scope.letter() == text)
    }

    /// Reads the `scope` of an assertion: names with blanks between them. `None` if one of them is unknown,
    /// or if none of them is about storage.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let known = |name: &str| match SCOPES.iter().find(|(known, _)| *known == name) {
            Some((_, scope)) => Some(*scope),
            // Clients ask for scopes of many services at once (gcloud: compute, appengine.admin).
            None => is_of_another_service(name).then_some(None),
        };
        let scopes: Option<Vec<_>> = text.split_ascii_whitespace().map(known).collect();
        scopes?.into_iter().flatten().max()
    }

    /// What an operation needs.
    pub(super) fn needed(operation: &Operation) -> Option<Self> {
        match operation {
            // Each request of a batch is judged by itself; the id of an upload session is what lets its
            // holder go on.
            Operation::Batch
            | Operation::Token
            | Operation::ContinueUpload(_)
            | Operation::CancelUpload(_) => None,
            Operation::PatchBucket(_) | Operation::PatchObject(_) | Operation::UpdateObject(_) => {
                Some(Self::FullControl)
            }
            Operation::ListBuckets
            | Operation::InsertBucket
            | Operation::GetBucket(_)
            | Operation::DeleteBucket(_)
            | Operation::GetStorageLayout(_)
            | Operation::TestIamPermissions(_)
            | Operation::ListObjects(_)
            | Operation::GetObject(_)
            | Operation::Download(_)
            | Operation::DeleteObject(_)
            | Operation::ComposeObject(_)
            | Operation::CopyObject(..)
            | Operation::RewriteObject(..)
            | Operation::MoveObject(..)
            | Operation::InsertObject(_) => {
                Some(if operation.reads() { Self::ReadOnly } else { Self::ReadWrite })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn the_widest_scope_counts_and_unknown_ones_are_refused() {
        let auth = "https://www.googleapis.com/auth/";
        for (scopes, expected) in [
            ("devstorage.read_only", Some(Scope::ReadOnly)),
            ("devstorage.read_write", Some(Scope::ReadWrite)),
            ("devstorage.full_control", Some(Scope::FullControl)),
            ("cloud-platform", Some(Scope::FullControl)),
            ("cloud-platform.read-only", Some(Scope::ReadOnly)),
            ("devstorage.read_only devstorage.read_write", Some(Scope::ReadWrite)),
            ("devstorage.read_only userinfo.email", Some(Scope::ReadOnly)),
            ("userinfo.email", None),
            ("devstorage.read_only devstorage.everything", None),
            ("cloud-platform compute appengine.admin accounts.reauth", Some(Scope::FullControl)),
            ("compute", None),
            ("drive", None),
            ("", None),
        ] {
            let full: Vec<_> = scopes.split_whitespace().map(|name| format!("{auth}{name}")).collect();
            assert_eq!(Scope::parse(&full.join(" ")), expected, "{scopes}");
        }
        assert_eq!(Scope::parse("devstorage.read_only"), None, "a scope is a whole address");
    }
}
