//! Our specs in the engine's words, and the engine's things in ours.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::models::{
    ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, EndpointSettings, HealthConfig,
    HostConfig, Mount, MountType, NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};

use crate::library::inventory::{Container, HealthState, Published, Run};
use crate::library::spec::{ContainerSpec, Mounted, Probe, Restart};

/// What the engine is asked to make. `start_interval` says whether it knows intervals of the start.
pub(super) fn body(spec: &ContainerSpec, start_interval: bool) -> ContainerCreateBody {
    let environment = spec.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let exposed: Vec<_> = spec.ports.iter().map(|port| format!("{}/tcp", port.container)).collect();
    let endpoints =
        spec.network.as_ref().filter(|(_, aliases)| !aliases.is_empty()).map(|(network, aliases)| {
            let endpoint = EndpointSettings { aliases: Some(aliases.clone()), ..EndpointSettings::default() };
            NetworkingConfig { endpoints_config: Some([(network.clone(), endpoint)].into()) }
        });
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        cmd: (!spec.command.is_empty()).then(|| spec.command.clone()),
        env: Some(environment.collect()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        user: spec.user.clone(),
        exposed_ports: (!exposed.is_empty()).then_some(exposed),
        healthcheck: spec.health.as_ref().map(|probe| health(probe, start_interval)),
        stop_timeout: Some(i64::try_from(spec.stop_timeout.as_secs()).unwrap_or(i64::MAX)),
        host_config: Some(host(spec)),
        networking_config: endpoints,
        ..ContainerCreateBody::default()
    }
}

fn host(spec: &ContainerSpec) -> HostConfig {
    let ports: HashMap<_, _> = spec
        .ports
        .iter()
        .map(|port| {
            let binding = PortBinding {
                host_ip: Some(port.address.to_string()),
                host_port: Some(port.host.map_or_else(String::new, |host| host.to_string())),
            };
            (format!("{}/tcp", port.container), Some(vec![binding]))
        })
        .collect();
    let restart = match spec.restart {
        Restart::No => RestartPolicyNameEnum::NO,
        Restart::OnFailure => RestartPolicyNameEnum::ON_FAILURE,
        Restart::Always => RestartPolicyNameEnum::ALWAYS,
        Restart::UnlessStopped => RestartPolicyNameEnum::UNLESS_STOPPED,
    };
    let memory = spec.memory_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    let tmpfs = HashMap::from([("/tmp".to_owned(), "size=64m,mode=1777".to_owned())]);
    HostConfig {
        port_bindings: Some(ports),
        network_mode: spec.network.as_ref().map(|(network, _)| network.clone()),
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        readonly_rootfs: Some(spec.confined),
        cap_drop: spec.confined.then(|| vec!["ALL".to_owned()]),
        tmpfs: spec.confined.then_some(tmpfs),
        security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
        memory,
        // Equal to the memory: no swap. Otherwise the engine gives as much again.
        memory_swap: memory,
        nano_cpus: spec.cpu_thousandths.map(|thousandths| i64::from(thousandths) * 1_000_000),
        restart_policy: Some(RestartPolicy { name: Some(restart), maximum_retry_count: None }),
        ..HostConfig::default()
    }
}

fn mount(mounted: &Mounted) -> Mount {
    let (kind, source, target) = match mounted {
        Mounted::Volume { name, at } => (MountType::VOLUME, name, at),
        Mounted::Folder { path, at } => (MountType::BIND, path, at),
    };
    Mount { typ: Some(kind), source: Some(source.clone()), target: Some(target.clone()), ..Mount::default() }
}

/// Engine: before API 1.44 there is one interval for all of a container's life.
fn health(probe: &Probe, start_interval: bool) -> HealthConfig {
    let ns = |span: std::time::Duration| Some(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX));
    let later = probe.interval.max(std::time::Duration::from_secs(5));
    HealthConfig {
        test: Some(std::iter::once("CMD".to_owned()).chain(probe.command.iter().cloned()).collect()),
        interval: ns(if start_interval { later } else { probe.interval }),
        start_interval: if start_interval { ns(probe.interval) } else { None },
        timeout: ns(probe.timeout),
        retries: Some(3),
        start_period: ns(probe.start_period),
    }
}

/// A container as the engine lists it.
pub(super) fn container(summary: ContainerSummary) -> Container {
    let name = summary.names.unwrap_or_default().into_iter().next().unwrap_or_default();
    let published = summary.ports.unwrap_or_default().into_iter().filter_map(|port| {
        let ip = port.ip.as_deref().unwrap_or("127.0.0.1").parse::<IpAddr>().ok()?;
        Some(Published { container: port.private_port, host: (ip, port.public_port?).into() })
    });
    Container {
        id: summary.id.unwrap_or_default(),
        name: name.trim_start_matches('/').to_owned(),
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
        image: summary.image.unwrap_or_default(),
        run: run(summary.state),
        health: health_of(summary.status.as_deref().unwrap_or_default()),
        published: published.collect(),
    }
}

fn run(state: Option<ContainerSummaryStateEnum>) -> Run {
    match state {
        Some(ContainerSummaryStateEnum::RUNNING) => Run::Running,
        Some(ContainerSummaryStateEnum::RESTARTING) => Run::Restarting,
        Some(ContainerSummaryStateEnum::PAUSED) => Run::Paused,
        Some(ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::STOPPING) => Run::Exited,
        Some(ContainerSummaryStateEnum::DEAD | ContainerSummaryStateEnum::REMOVING) => Run::Dead,
        Some(ContainerSummaryStateEnum::CREATED | ContainerSummaryStateEnum::EMPTY) | None => Run::Created,
    }
}

/// Engine: lists say it in words, `Up 3 seconds (healthy)`; only later versions have a field, too.
fn health_of(status: &str) -> HealthState {
    if status.ends_with("(healthy)") {
        HealthState::Healthy
    } else if status.ends_with("(unhealthy)") {
        HealthState::Unhealthy
    } else if status.ends_with("(health: starting)") {
        HealthState::Starting
    } else {
        HealthState::Unasked
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::{body, health_of};
    use crate::library::inventory::HealthState;
    use crate::library::spec::{ContainerSpec, Mounted, Port, Probe, Restart};

    fn spec() -> ContainerSpec {
        ContainerSpec {
            name: "understudy-one".to_owned(),
            image: "understudy".to_owned(),
            command: Vec::new(),
            environment: vec![("A".to_owned(), "b=c".to_owned())],
            labels: [("l".to_owned(), "v".to_owned())].into(),
            network: Some(("understudy-one".to_owned(), vec!["store".to_owned()])),
            mounts: vec![Mounted::Volume { name: "understudy-one".to_owned(), at: "/data".to_owned() }],
            ports: vec![Port { container: 8000, address: Ipv4Addr::LOCALHOST.into(), host: None }],
            user: Some("10001:10001".to_owned()),
            confined: true,
            memory_bytes: Some(64 << 20),
            cpu_thousandths: Some(1500),
            restart: Restart::UnlessStopped,
            health: Some(Probe {
                command: vec!["ok".to_owned()],
                interval: Duration::from_millis(500),
                timeout: Duration::from_secs(4),
                start_period: Duration::from_secs(30),
            }),
            stop_timeout: Duration::from_secs(15),
        }
    }

    #[test]
    fn a_store_gets_nothing_that_it_does_not_need() {
        let body = body(&spec(), false);
        let host = body.host_config.expect("a host configuration");
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.security_opt, Some(vec!["no-new-privileges:true".to_owned()]));
        assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
        assert_eq!(host.nano_cpus, Some(1_500_000_000));
        let ports = host.port_bindings.expect("ports");
        let binding = ports["8000/tcp"].as_ref().expect("a binding");
        assert_eq!(binding[0].host_ip.as_deref(), Some("127.0.0.1"));
        assert_eq!((body.stop_timeout, body.env), (Some(15), Some(vec!["A=b=c".to_owned()])));
    }

    #[test]
    fn older_engines_ask_often_and_later_ones_only_at_the_start() {
        for (start_interval, interval, of_start) in
            [(false, 500_000_000, None), (true, 5_000_000_000, Some(500_000_000))]
        {
            let health = body(&spec(), start_interval).healthcheck.expect("a health check");
            assert_eq!((health.interval, health.start_interval), (Some(interval), of_start));
        }
    }

    #[test]
    fn health_is_read_from_words() {
        for (status, health) in [
            ("Up 3 seconds (healthy)", HealthState::Healthy),
            ("Up 3 seconds (unhealthy)", HealthState::Unhealthy),
            ("Up 1 second (health: starting)", HealthState::Starting),
            ("Up 2 hours", HealthState::Unasked),
            ("Exited (0) 3 seconds ago", HealthState::Unasked),
        ] {
            assert_eq!(health_of(status), health, "{status}");
        }
    }
}
