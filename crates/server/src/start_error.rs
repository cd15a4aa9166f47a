//! What to do when a server does not start.

use huisuan_store::StoreError;

/// What to do about an error of [`Server::start`](crate::Server::start), for people.
pub fn hint_of(error: &anyhow::Error) -> &'static str {
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return error.hint();
    }
    match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::AddrInUse) => "stop what listens there, or choose another address with --listen",
        Some(std::io::ErrorKind::AddrNotAvailable) => "give an address of this machine with --listen",
        _ => "see the message above; `huisuan doctor --data DIR` looks at a data directory",
    }
}
