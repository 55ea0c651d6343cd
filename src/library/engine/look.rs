//! What is there.

use std::collections::BTreeMap;

use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder,
};

use super::{Engine, Error, labelled, translate};
use crate::library::inventory::{Inventory, Network, Volume};
use crate::library::labels;

impl Engine {
    /// Everything that bears labels of the library.
    pub async fn inventory(&self) -> Result<Inventory, Error> {
        let filters = labelled(labels::STAGE);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let containers =
            self.docker.list_containers(Some(options)).await.map_err(self.failed("list containers"))?;
        let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let volumes = self.docker.list_volumes(Some(options)).await.map_err(self.failed("list volumes"))?;
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let networks =
            self.docker.list_networks(Some(options)).await.map_err(self.failed("list networks"))?;
        let volume = |volume: bollard::models::Volume| Volume {
            name: volume.name,
            labels: volume.labels.into_iter().collect(),
        };
        let network = |network: bollard::models::Network| Network {
            id: network.id.unwrap_or_default(),
            name: network.name.unwrap_or_default(),
            labels: network.labels.unwrap_or_default().into_iter().collect(),
        };
        Ok(Inventory {
            machine: self.machine().map(str::to_owned),
            containers: containers.into_iter().map(translate::container).collect(),
            volumes: volumes.volumes.unwrap_or_default().into_iter().map(volume).collect(),
            networks: networks.into_iter().map(network).collect(),
            bare: Vec::new(),
        })
    }

    /// The variables of a container.
    pub async fn environment(&self, container: &str) -> Result<BTreeMap<String, String>, Error> {
        let inspected = self
            .docker
            .inspect_container(container, None::<InspectContainerOptions>)
            .await
            .map_err(self.failed(format!("look at {container}")))?;
        let variables = inspected.config.and_then(|config| config.env).unwrap_or_default();
        Ok(variables
            .iter()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}
