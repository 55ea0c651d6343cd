//! The library: stages as containers that are checked out, renewed, rewound and returned.
//!
//! A stage NAME is a container, a volume and a network, all called `understudy-NAME`; with them may
//! go companion services. Nothing is kept outside the engine: the lease stands in labels, and since
//! labels cannot be changed, what changes stands in the labels of an empty volume, the card. A stage
//! without a card is half-made.
//! What can be said without asking the engine is said in pure modules; only `engine` speaks to it.
//! Not here: what a stage does (it is asked by its own command line, inside its container), and what
//! is printed (`cli`).

mod card;
mod catalogue;
mod doctor;
pub mod engine;
mod inventory;
mod labels;
mod lease;
mod maker;
mod name;
mod placeholder;
mod plan;
mod spec;
mod step;
mod sweep;
mod tarball;
mod variables;

pub use card::{Card, InvalidCard};
pub use catalogue::{BUILT_IN, Catalogue, Companion, Cpus, Health, InvalidCatalogue, Seed, Template};
pub use doctor::{Finding, Patient, Remedy, findings};
pub use inventory::{Claim, Container, HealthState, Inventory, Loan, Network, Published, Run, Volume};
pub use labels::Labels;
pub use lease::{InvalidLease, Lease, Standing};
pub use maker::Maker;
pub use name::{InvalidStageName, StageName};
pub use placeholder::InvalidPlaceholder;
pub use plan::{ACCOUNT_FILE, Checkout, Plan, Source, Unplannable};
pub use spec::{ContainerSpec, Mounted, Port, Probe, Restart, Secrets};
pub use step::{Step, Undo};
pub use sweep::{Action, action};
pub use variables::{Account, Address, Group, Keys, Variable, shell, variables};

/// The snapshot that a checkout makes when everything is ready: what `reset` goes back to.
pub const FIRST_SNAPSHOT: &str = "checkout";
