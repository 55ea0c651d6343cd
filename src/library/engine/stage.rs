//! Containers that start, stop and go, and cards.

use std::time::{Duration, Instant};

use bollard::models::{ContainerState, HealthStatusEnum, NetworkDisconnectRequest, VolumeCreateRequest};
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptions, StartContainerOptions, StopContainerOptions,
};

use super::{Engine, Error, translate};
use crate::library::card::Card;
use crate::library::inventory::Loan;
use crate::library::labels::{self, Labels, Role};
use crate::library::maker::Maker;
use crate::library::{Remedy, name::StageName};
use crate::model::Timestamp;

/// How long a container may take to get well.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether the engine says that there is no such thing, or that it is going already.
fn is_gone(error: &bollard::errors::Error) -> bool {
    let bollard::errors::Error::DockerResponseServerError { status_code, message } = error else {
        return false;
    };
    *status_code == 404 || (*status_code == 409 && message.contains("already in progress"))
}

impl Engine {
    /// Starts a container.
    pub async fn start(&self, container: &str) -> Result<(), Error> {
        let started = self.docker.start_container(container, None::<StartContainerOptions>).await;
        started.map_err(self.failed(format!("start {container}")))
    }

    /// Stops a container, in the time that it was given for that.
    pub async fn stop(&self, container: &str) -> Result<(), Error> {
        let stopped = self.docker.stop_container(container, None::<StopContainerOptions>).await;
        match stopped {
            // Engine: 304 for one that does not run.
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 304, .. }) => Ok(()),
            stopped => stopped.map_err(self.failed(format!("stop {container}"))),
        }
    }

    /// Waits until a container is well; one that ends instead is an error with the end of its log.
    pub async fn await_health(&self, container: &str) -> Result<(), Error> {
        let since = Instant::now();
        loop {
            let inspected = self
                .docker
                .inspect_container(container, None::<InspectContainerOptions>)
                .await
                .map_err(self.failed(format!("look at {container}")))?;
            let restarts = inspected.restart_count.unwrap_or_default();
            let what = match verdict(&inspected.state.unwrap_or_default(), restarts) {
                Some(Ok(())) => return Ok(()),
                Some(Err(what)) => what,
                None if since.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                None => "did not get well in two minutes",
            };
            let log = self.log_end(container).await;
            return Err(Error::NotWell { container: container.to_owned(), what, log });
        }
    }

    /// Does what mends. What is gone already is as it should be.
    pub async fn mend(&self, remedy: &Remedy) -> Result<(), Error> {
        let done = match remedy {
            Remedy::RemoveContainer { id, .. } => {
                // With volumes that have no name: the image's own, where nothing is mounted over it.
                let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
                self.docker.remove_container(id, Some(options)).await
            }
            Remedy::RemoveNetwork { id, .. } => {
                self.disconnect_all(id).await?;
                self.docker.remove_network(id).await
            }
            Remedy::RemoveVolume { name, checkout } => match self.docker.inspect_volume(name).await {
                Ok(there) if there.labels.get(labels::CHECKOUT) != checkout.as_ref() => Ok(()),
                Ok(_) => self.docker.remove_volume(name, None::<RemoveVolumeOptions>).await,
                Err(error) => Err(error),
            },
            Remedy::StartContainer { id, .. } => return self.start(id).await,
        };
        match done {
            Err(error) if is_gone(&error) => Ok(()),
            done => done.map_err(self.failed(words(remedy))),
        }
    }

    /// Takes everybody off a network: clients join it, and the engine removes none that is in use.
    async fn disconnect_all(&self, network: &str) -> Result<(), Error> {
        let doing = || format!("take containers off the network {network}");
        let found = match self.docker.inspect_network(network, None::<InspectNetworkOptions>).await {
            Err(error) if is_gone(&error) => return Ok(()),
            found => found.map_err(self.failed(doing()))?,
        };
        for container in found.containers.unwrap_or_default().into_keys() {
            let request = NetworkDisconnectRequest { container, force: Some(true) };
            match self.docker.disconnect_network(network, request).await {
                Err(error) if is_gone(&error) => {}
                done => done.map_err(self.failed(doing()))?,
            }
        }
        Ok(())
    }

    /// Removes a stage with everything that belongs to it, unless its lease has changed since it was
    /// looked at. Whoever is killed on the way leaves a half-made stage, which the doctor finds.
    pub async fn remove(&self, loan: &Loan, now: Timestamp) -> Result<(), Error> {
        self.find_strangers(loan).await?;
        let claimed = match &loan.card {
            Some(card) => self.write_card(loan, &card.claimed(now)).await?,
            None => loan.clone(),
        };
        for remedy in claimed.all() {
            self.mend(&remedy).await?;
        }
        Ok(())
    }

    /// Fails where containers of somebody else use the volume: it could not be removed, and that
    /// would show when all the rest is gone.
    async fn find_strangers(&self, loan: &Loan) -> Result<(), Error> {
        let thing = loan.name.thing();
        let filters = [("volume".to_owned(), vec![thing.clone()])].into();
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let users = self.docker.list_containers(Some(options)).await;
        let users = users.map_err(self.failed(format!("look who uses the volume {thing}")))?;
        let own = |name: &String| loan.containers().any(|container| container.name == *name);
        let users = users.into_iter().map(|user| translate::container(user).name);
        let strangers: Vec<_> = users.filter(|name| !own(name)).collect();
        if strangers.is_empty() { Ok(()) } else { Err(Error::InUse(thing, strangers.join(" "))) }
    }

    /// Puts a card in the place of the one that counts, and gives the stage as it is then.
    ///
    /// Of several who do so at a time one succeeds: they write the same number, and a name is there
    /// once; and a number that others have gone past by then does not count.
    pub async fn write_card(&self, loan: &Loan, card: &Card) -> Result<Loan, Error> {
        let maker = Maker::this_process().map_or_else(String::new, |maker| maker.to_string());
        let checkout = loan.checkout().unwrap_or_default();
        let mut labels = labels::of(&loan.name, Role::Card, checkout, &maker);
        labels.insert(labels::CARD.to_owned(), card.to_label());
        let volume = loan.name.card(card.number);
        let raced = || Err(Error::Raced(loan.name.clone()));
        if self.make_volume(&volume, &labels).await? != labels {
            return raced();
        }
        let there = self.inventory().await?.loan(&loan.name);
        let counts = there.filter(|there| {
            let claim = there.claim.as_ref().map(|claim| &claim.card);
            there.checkout() == loan.checkout() && there.card.as_ref().or(claim) == Some(card)
        });
        let Some(there) = counts else {
            let own = Remedy::RemoveVolume { name: volume, checkout: Some(checkout.to_owned()) };
            self.mend(&own).await?;
            return raced();
        };
        for old in &there.old_cards {
            self.mend(&old.removal()).await?;
        }
        Ok(there)
    }

    /// Makes a volume and gives the labels that it has. Engine: one that is there stays as it is and
    /// is no error, so the labels say who made it.
    pub(super) async fn make_volume(&self, name: &str, labels: &Labels) -> Result<Labels, Error> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        let volume = self.docker.create_volume(request).await;
        let volume = volume.map_err(self.failed(format!("make the volume {name}")))?;
        Ok(volume.labels.into_iter().collect())
    }

    /// Whose the lock of a stage is.
    pub(super) async fn take_lock(
        &self,
        stage: &StageName,
        name: &str,
        labels: &Labels,
    ) -> Result<(), Error> {
        let there = self.make_volume(name, labels).await?;
        if there.get(labels::CHECKOUT) == labels.get(labels::CHECKOUT) {
            Ok(())
        } else if there.contains_key(labels::STAGE) {
            Err(Error::NameTaken(stage.clone()))
        } else {
            Err(Error::Alien { what: "volume", name: name.to_owned() })
        }
    }
}

/// What a container's state says; `None`: nothing yet.
fn verdict(state: &ContainerState, restarts: i64) -> Option<Result<(), &'static str>> {
    if state.oom_killed == Some(true) {
        return Some(Err("needed more memory than it was given"));
    }
    if state.running != Some(true) || state.restarting == Some(true) || restarts > 0 {
        return Some(Err("ended"));
    }
    match state.health.as_ref().and_then(|health| health.status) {
        Some(HealthStatusEnum::HEALTHY | HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) | None => {
            Some(Ok(()))
        }
        Some(HealthStatusEnum::UNHEALTHY) => Some(Err("is not well")),
        Some(HealthStatusEnum::STARTING) => None,
    }
}

fn words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::RemoveContainer { name, .. } => format!("remove the container {name}"),
        Remedy::RemoveNetwork { name, .. } => format!("remove the network {name}"),
        Remedy::RemoveVolume { name, .. } => format!("remove the volume {name}"),
        Remedy::StartContainer { name, .. } => format!("start {name}"),
    }
}
