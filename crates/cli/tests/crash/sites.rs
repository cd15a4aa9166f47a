//! The centres of a network whose processes are killed.

use std::fs;

use crate::{cluster::Cluster, disk::Disk, support::running::Home};

/// Centres of this machine's processors, as the server declares them.
pub(crate) const LOCAL: [(&str, &str); 2] = [("general-1", "general-1:general:1200"), ("hpc-1", "hpc-1:hpc:2400")];
/// A centre that is a Slurm cluster.
const SLURM: &str = "slurm-1";

/// A centre of the network.
pub(crate) struct Site {
    pub(crate) name: &'static str,
    /// How the server is told of it at each start; without it, it is added when there is a server.
    pub(crate) declared: Option<&'static str>,
    /// The folder of its agent.
    pub(crate) data: String,
    /// The folder of its engine.
    pub(crate) shared: String,
    /// What its agent is told of its engine.
    pub(crate) engine: Vec<String>,
}

impl Site {
    /// This machine, as two centres.
    pub(crate) fn local(home: &Home) -> Vec<Site> {
        let engine = || ["--memory", "1GiB"].map(str::to_owned).to_vec();
        LOCAL
            .map(|(name, declared)| {
                let folder = home.path(name);
                Site { name, declared: Some(declared), data: folder.clone(), shared: folder, engine: engine() }
            })
            .into()
    }

    /// A cluster. Its agent has its files on a disk of its own, with the folder that it shares with the cluster.
    pub(crate) fn at_cluster(home: &Home, disk: Option<&Disk>, cluster: &Cluster) -> Site {
        let path = |name: &str| disk.map_or_else(|| home.path(name), |disk| disk.path(name));
        let config = home.path("slurm.toml");
        fs::write(&config, cluster.config(&path("shared"))).expect("a file");
        let engine = ["--engine", "slurm", "--engine-config", &config].map(str::to_owned).to_vec();
        Site { name: SLURM, declared: None, data: path("agent"), shared: path("shared"), engine }
    }

    /// Makes the centre known to the server that runs; what its agent is to be told.
    pub(crate) fn add(&self, home: &Home) -> String {
        let class = ["--class", "general", "--engine", "slurm", "--price", "12"];
        let ran = home.run(&[&["centre", "add", self.name], &class[..], &["-o", "json"]].concat());
        assert_eq!(ran.exit, 0, "{ran:?}");
        ran.json()["join"].as_str().expect("a join token").to_owned()
    }
}
