//! A plan's steps, taken one by one, and taken back where one fails.

use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
};

use super::exec::succeeded;
use super::{Engine, Error, labelled, translate};
use crate::library::labels::{self, Labels};
use crate::library::plan::Plan;
use crate::library::spec::{ContainerSpec, Secrets};
use crate::library::step::{Step, Undo};
use crate::library::{Address, Remedy, Seed};

impl Engine {
    /// Takes all steps, and tells each before it is taken. If one fails, or the person who waits
    /// gives up, what was done is taken back.
    pub async fn carry_out(&self, plan: &Plan, mut tell: impl FnMut(&Step)) -> Result<(), Error> {
        let mut begun: Vec<&Step> = Vec::new();
        let mut interrupted = std::pin::pin!(interrupted());
        let mut result = Ok(());
        for step in &plan.steps {
            tell(step);
            begun.push(step);
            // A request that is under way is waited for: the engine would finish it behind our back.
            let taken = if is_long(step) {
                tokio::select! {
                    taken = self.take(plan, step) => taken,
                    () = &mut interrupted => Err(Error::Interrupted),
                }
            } else {
                let taken = self.take(plan, step).await;
                let asked = std::future::poll_fn(|context| {
                    std::task::Poll::Ready(interrupted.as_mut().poll(context).is_ready())
                });
                if asked.await { Err(Error::Interrupted) } else { taken }
            };
            if taken.is_err() {
                result = taken;
                break;
            }
        }
        let Err(cause) = result else { return Ok(()) };
        let left = self.take_back(plan, &begun).await;
        if left.is_empty() {
            Err(cause)
        } else {
            Err(Error::LeftBehind { cause: Box::new(cause), left: left.join(", ") })
        }
    }

    async fn take(&self, plan: &Plan, step: &Step) -> Result<(), Error> {
        match step {
            Step::FindImage(image) => {
                let found = self.docker.inspect_image(image).await;
                found.map(drop).map_err(|error| {
                    let failure = self.failed(step.words())(error);
                    if matches!(failure, Error::NoImage(_)) { Error::NoImage(image.clone()) } else { failure }
                })
            }
            Step::MakeVolume { name, labels } => self.take_lock(&plan.name, name, labels).await,
            Step::MakeNetwork { name, labels } => self.make_network(name, labels).await,
            Step::MakeContainer(spec) => self.make_container(spec).await.map(drop),
            Step::Fork { helper, stage, snapshot, volume } => {
                self.fork(helper, &stage.thing(), snapshot, volume).await
            }
            Step::PutFile { container, folder, file, text } => {
                self.put_file(container, folder, file, text.as_bytes()).await
            }
            Step::Start { container } => self.start(container).await,
            Step::AwaitHealth { container } => self.await_health(container).await,
            Step::Seed { container, seed } => self.seed(plan, container, seed).await,
            Step::MakeAccount { container, file } => {
                let url = Address::Network.url();
                let make = ["credential", "gcs", "--name", "beetmover", "--out", file, "--endpoint", &url];
                self.done_if_known(container, &make).await
            }
            Step::Snapshot { container, snapshot } => {
                self.done_if_known(container, &["snapshot", "create", snapshot]).await
            }
            Step::MakeCard { name, labels } => {
                let there = self.make_volume(name, labels).await?;
                // One that was there already would leave the stage without a card.
                if there.get(labels::CHECKOUT) == Some(&plan.checkout) {
                    Ok(())
                } else {
                    Err(Error::Alien { what: "volume", name: name.clone() })
                }
            }
        }
    }

    /// Runs what an older image may not know: the stage is one all the same, and who asks for what it
    /// lacks is told.
    async fn done_if_known(&self, container: &str, arguments: &[&str]) -> Result<(), Error> {
        let ran = self.run_in(container, arguments).await?;
        if ran.is_unknown() { Ok(()) } else { succeeded(container, arguments, ran).map(drop) }
    }

    async fn make_network(&self, name: &str, labels: &Labels) -> Result<(), Error> {
        // Engine: before API 1.44 a second network of the same name is no error.
        let options = ListNetworksOptionsBuilder::default()
            .filters(&[("name".to_owned(), vec![name.to_owned()])].into())
            .build();
        let there = self.docker.list_networks(Some(options)).await.map_err(self.failed("list networks"))?;
        if there.iter().any(|network| network.name.as_deref() == Some(name)) {
            return Err(Error::Alien { what: "network", name: name.to_owned() });
        }
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..NetworkCreateRequest::default()
        };
        let made = self.docker.create_network(request).await;
        made.map(drop).map_err(self.failed(format!("make the network {name}")))
    }

    /// Makes a container and gives its id.
    pub(super) async fn make_container(&self, spec: &ContainerSpec) -> Result<String, Error> {
        let options = CreateContainerOptionsBuilder::default().name(&spec.name).build();
        let body = translate::body(spec, self.speaks(1, 44));
        match self.docker.create_container(Some(options), body).await {
            Ok(made) => Ok(made.id),
            // The lock is ours, so whoever has this name is not of the library.
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, .. }) => {
                Err(Error::Alien { what: "container", name: spec.name.clone() })
            }
            Err(error) => Err(self.failed(format!("make the container {}", spec.name))(error)),
        }
    }

    async fn seed(&self, plan: &Plan, container: &str, seed: &Seed) -> Result<(), Error> {
        let mut arguments = vec!["seed", seed.from.as_str(), "--bucket", seed.bucket.as_str()];
        for (flag, value) in [
            ("--prefix", &seed.prefix),
            ("--source-endpoint", &seed.endpoint),
            ("--source-region", &seed.region),
        ] {
            arguments.extend(value.iter().flat_map(|value| [flag, value.as_str()]));
        }
        arguments.extend(seed.anonymous.then_some("--anonymous"));
        let none = Secrets::default();
        let keys = if seed.needs_keys() { &plan.source_keys } else { &none };
        let ran = self.run_with(container, &arguments, keys).await?;
        succeeded(container, &arguments, ran).map(drop)
    }

    /// Takes steps back, the last one first; gives the names of what could not be removed.
    async fn take_back(&self, plan: &Plan, begun: &[&Step]) -> Vec<String> {
        let mut left = Vec::new();
        for undo in begun.iter().rev().filter_map(|step| step.undo()) {
            let mut removed = Ok(());
            match self.remedies(plan, &undo).await {
                Err(error) => removed = Err(error),
                Ok(remedies) => {
                    for remedy in remedies {
                        removed = removed.and(self.mend(&remedy).await);
                    }
                }
            }
            if removed.is_err() {
                left.push(undo.name().to_owned());
            }
        }
        left
    }

    /// What takes a step back: nothing where the thing is not there or is not this checkout's.
    async fn remedies(&self, plan: &Plan, undo: &Undo) -> Result<Vec<Remedy>, Error> {
        let filters = labelled(&format!("{}={}", labels::CHECKOUT, plan.checkout));
        let failed = self.failed("look at what was made");
        match undo {
            Undo::Container(name) => {
                let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
                let found = self.docker.list_containers(Some(options)).await.map_err(failed)?;
                let found = found.into_iter().map(translate::container);
                Ok(found.filter(|found| found.name == *name).map(|found| Remedy::removal(&found)).collect())
            }
            Undo::Volume(name) => {
                let checkout = Some(plan.checkout.clone());
                Ok(vec![Remedy::RemoveVolume { name: name.clone(), checkout }])
            }
            Undo::Network(name) => {
                let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
                let found = self.docker.list_networks(Some(options)).await.map_err(failed)?;
                let ids = found.into_iter().filter(|found| found.name.as_ref() == Some(name));
                let removal = |id| Remedy::RemoveNetwork { name: name.clone(), id };
                Ok(ids.filter_map(|found| found.id).map(removal).collect())
            }
        }
    }
}

/// Steps that wait for something else than the engine, and leave nothing that is not known.
fn is_long(step: &Step) -> bool {
    match step {
        Step::Fork { .. }
        | Step::AwaitHealth { .. }
        | Step::Seed { .. }
        | Step::MakeAccount { .. }
        | Step::Snapshot { .. } => true,
        Step::FindImage(_)
        | Step::MakeVolume { .. }
        | Step::MakeNetwork { .. }
        | Step::MakeContainer(_)
        | Step::PutFile { .. }
        | Step::Start { .. }
        | Step::MakeCard { .. } => false,
    }
}

/// Ends when the process is asked to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    let asked = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = terminated => {}
        () = asked => {}
    }
}
