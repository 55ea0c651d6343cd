//! `understudy serve`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::credential;
use super::failure::Failure;
use super::flags;
use super::print;
use super::release;
use super::serving::{Announced, Serving};
use super::welcome::{self, Secret, Welcome};
use crate::clock::{self, Clock};
use crate::config::{Environment, Settings, credentials, reachable};
use crate::model::{Credential, Owner};
use crate::protocol::auth::Credentials;
use crate::protocol::meter::Meter;
use crate::server::telemetry::Telemetry;
use crate::server::{Ending, Faces, Listener, Parts, StopSignals};
use crate::store::{NewBucket, Store};
use crate::view::{self, View};
use crate::{admin, archive, gcs, s3, upstream};

/// The arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: flags::Settings,
}

/// Threads for what blocks; they end when there is nothing to do.
const BLOCKING_THREADS_MAX: usize = 64;
const BLOCKING_THREAD_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What stopping may take besides the time of requests in flight: closing the store, above all.
const CLOSING_TIME: Duration = Duration::from_secs(3);

/// How often the store is told what was read: a crash forgets so much of it.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// Serves until a signal comes.
pub(super) fn run(arguments: &Arguments, environment: &Environment) -> Result<ExitCode, Failure> {
    let mut settings = Settings::load(&arguments.settings.layer()?, environment)?;
    Telemetry::read(|name| environment.get(name).cloned())?.install()?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    raise_open_files();
    // Dropped last: the folder goes when nothing uses it any more.
    let temporary = settings.ephemeral().then(temporary_folder).transpose()?;
    if let Some(folder) = &temporary {
        folder.path().clone_into(&mut settings.store.data_dir);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_keep_alive(BLOCKING_THREAD_KEEP_ALIVE)
        .thread_name("understudy")
        .build()
        .map_err(|source| Failure::io("cannot start the threads of the server", source))?;
    let served = runtime.block_on(serve(settings));
    runtime.shutdown_timeout(Duration::from_secs(1));
    if let Some(folder) = temporary {
        folder.close().map_err(|source| Failure::io("cannot remove the temporary data folder", source))?;
    }
    served.map(|()| ExitCode::SUCCESS)
}

/// The whole life of a server.
async fn serve(settings: Settings) -> Result<(), Failure> {
    let signals = signals(&settings)?;
    clock::check_machine().map_err(|error| Failure::Usage(error.to_string()))?;
    // First what fails without a trace, then what makes files.
    let listener = Listener::bind(&settings.server).await?;
    let store = Store::open(settings.store.clone())?;
    let (known, secret) = known_credentials(&settings)?;
    let first = welcome::most_able(&known).cloned();
    make_buckets(&store, &settings, first.as_ref()).await?;
    release::keep(&settings, &store).await?;
    let meter = Meter::default();
    let view = view(&settings, &store)?;
    release::warn_if_none(&settings, view.fallback());
    let under_test = view.fallback().release().to_string();
    let release_line = release::line(view.fallback());
    let faces = faces(&settings, view, known, &meter)?;
    let announced = serving(&settings, &listener);
    if let Some(credential) = &first {
        let existing = store.list_buckets("", None, 1)?;
        let welcome = Welcome {
            scheme: listener.scheme(),
            address: listener.address(),
            credential,
            secret,
            region: &settings.s3.region,
            certificate: settings.server.tls.as_ref().map(|tls| tls.certificate.as_path()),
            bucket: existing.into_iter().next().map(|bucket| bucket.name),
            release: release_line,
        };
        print(&welcome.render())?;
    }
    tracing::info!(
        address = %listener.address(),
        data_dir = %settings.store.data_dir.display(),
        ephemeral = settings.ephemeral(),
        under_test,
        "ready"
    );
    let stop = stop(signals.clone());
    let flushing = tokio::spawn(flush(meter.clone(), store.clone())).abort_handle();
    let handler = move |arrival, request| faces.clone().answer(arrival, request);
    let stopped = listener.serve(handler, meter.connections(), stop).await;
    drop(announced);
    flushing.abort();
    signals.now("noting what was read, for the receipt");
    tell(&meter, &store).await;
    signals.now("closing the store");
    store.close().await;
    signals.now("ending its threads");
    tracing::info!(cut_off = stopped.cut_off, "stopped");
    Ok(())
}

/// Tells the store every few seconds what was read, for the receipt.
async fn flush(meter: Meter, store: Store) {
    let mut ticks = tokio::time::interval(FLUSH_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        tell(&meter, &store).await;
    }
}

async fn tell(meter: &Meter, store: &Store) {
    if let Err(error) = meter.flush(store).await {
        tracing::warn!(%error, "what was read could not be noted for the receipt");
    }
}

/// Writes down how commands on this machine reach the server. It serves all the same if that fails, as
/// on a disk without a byte: clients know the address, and deletions may make room.
fn serving(settings: &Settings, listener: &Listener) -> Option<Announced> {
    let certificate = settings.server.tls.as_ref().map(|tls| &tls.certificate);
    let announced = Serving {
        url: format!("{}://{}", listener.scheme(), reachable(listener.address())),
        pid: std::process::id(),
        certificate: certificate.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())),
    }
    .announce(&settings.store.data_dir);
    announced
        .inspect_err(|error| {
            tracing::warn!(
                %error,
                "serving.json cannot be written into the data folder: commands on this machine need --endpoint"
            );
        })
        .ok()
}

/// Listens for the signals that end the process.
fn signals(settings: &Settings) -> Result<StopSignals, Failure> {
    let limit = settings.server.limits.stop_timeout.saturating_add(CLOSING_TIME);
    let temporary = settings.ephemeral().then(|| settings.store.data_dir.clone());
    StopSignals::listen(Ending { limit, temporary })
        .map_err(|source| Failure::io("cannot listen for signals", source))
}

/// Done at the first signal.
async fn stop(mut signals: StopSignals) {
    let first = signals.first().await;
    signals.now("finishing requests in flight");
    tracing::info!(signal = ?first, "stopping: finishing what is in flight; another signal ends at once");
}

/// The key pairs that are configured, or else the one that the data folder makes for itself.
fn known_credentials(settings: &Settings) -> Result<(Vec<Credential>, Secret), Failure> {
    if !settings.credentials.is_empty() {
        let kept = credentials::path(&settings.store.data_dir);
        let secret = if settings.credentials_are_kept() { Secret::Kept(kept) } else { Secret::Configured };
        return Ok((settings.credentials.clone(), secret));
    }
    let made = credentials::generate()?;
    if !settings.ephemeral() {
        let path = credentials::keep(&settings.store.data_dir, &made)?;
        tracing::info!(path = %path.display(), "credentials were made for this data folder");
    }
    Ok((vec![made], Secret::Shown))
}

async fn make_buckets(
    store: &Store,
    settings: &Settings,
    credential: Option<&Credential>,
) -> Result<(), Failure> {
    let owner = credential.map_or_else(Owner::anonymous, |credential| credential.owner.clone());
    for name in &settings.buckets {
        if store.find_bucket(name)?.is_some() {
            continue;
        }
        let new = NewBucket { name: name.clone(), region: settings.s3.region.clone(), owner: owner.clone() };
        store.create_bucket(new).await?;
        tracing::info!(bucket = %name, "bucket created");
    }
    Ok(())
}

/// What is here, over what production has.
pub(super) fn view(settings: &Settings, store: &Store) -> Result<View, Failure> {
    Ok(View::new(view::Parts {
        store: store.clone(),
        fallback: release::fallback(settings, store)?,
        upstream: upstream::Client::new(settings.upstream.clone(), Clock::System)
            .map_err(|source| Failure::io("cannot read upstream.ca_file", source))?,
        config: settings.cache,
        clock: Clock::System,
    }))
}

fn faces(settings: &Settings, view: View, known: Vec<Credential>, meter: &Meter) -> Result<Faces, Failure> {
    let credentials = Credentials::new(known)?;
    let s3 = s3::Service::new(s3::Inner {
        view: view.clone(),
        credentials: credentials.clone(),
        anonymous: settings.anonymous.clone(),
        limits: settings.limits,
        config: settings.s3.clone(),
    });
    let gcs = gcs::Service::new(gcs::Inner {
        view: view.clone(),
        accounts: gcs::ServiceAccounts::in_folder(credential::accounts(&settings.store.data_dir)),
        anonymous: settings.anonymous.clone(),
        limits: settings.limits,
        config: gcs::Config { location: settings.s3.region.clone() },
    });
    let archive_hosts = settings.archive.iter().flat_map(archive::Config::hosts).cloned().collect();
    let archive = archive::Service::new(archive::Inner {
        view: view.clone(),
        anonymous: settings.anonymous.clone(),
        trees: settings.archive.clone(),
    });
    let admin = admin::Service::new(admin::Inner {
        view: view.clone(),
        credentials,
        meter: meter.clone(),
        limits: settings.limits,
        started: Clock::System.now(),
    });
    let mut seed = [0_u8; 8];
    getrandom::fill(&mut seed).map_err(crate::config::Error::Random)?;
    Ok(Faces::new(Parts {
        s3,
        gcs,
        archive,
        admin,
        view,
        archive_hosts,
        names: settings.server.names.clone(),
        trusted_proxies: settings.server.trusted_proxies.clone(),
        limits: settings.server.limits,
        seed: u64::from_ne_bytes(seed),
        clock: Clock::System,
        meter: meter.clone(),
    }))
}

/// A folder of this process alone. It is named in the log, so that a person can look into it.
fn temporary_folder() -> Result<tempfile::TempDir, Failure> {
    tempfile::Builder::new().prefix("understudy-").tempdir().map_err(|source| {
        Failure::io(
            "cannot make a temporary folder for --ephemeral (set TMPDIR to a folder that can be written)",
            source,
        )
    })
}

/// Lets the process have as many open files as the system grants: each connection and each blob
/// that is read is one.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files could not be raised");
        }
    }
}

/// Where the data folder is, for messages.
pub(super) fn data_dir(settings: &Settings) -> PathBuf {
    std::path::absolute(&settings.store.data_dir).unwrap_or_else(|_| settings.store.data_dir.clone())
}
