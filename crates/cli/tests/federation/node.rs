//! A node of the real Kubernetes, whose pods a fake kubelet runs as processes; shared with the tests of the engine.

#[path = "../../../drivers/tests/contract/kubernetes/admission.rs"]
mod admission;
#[path = "../../../drivers/tests/contract/kubernetes/api.rs"]
mod api;
#[path = "../../../drivers/tests/contract/kubernetes/cluster.rs"]
mod cluster;
#[path = "../../../drivers/tests/contract/kubernetes/container.rs"]
mod container;
#[path = "../../../drivers/tests/contract/kubernetes/kubelet.rs"]
mod kubelet;
#[path = "../../../drivers/tests/contract/kubernetes/real.rs"]
pub(crate) mod real;
#[path = "../../../drivers/tests/contract/kubernetes/ways.rs"]
mod ways;
