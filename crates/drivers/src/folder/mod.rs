//! What engines share whose attempts have folders: where things are, orders and ends on disk, what a process is given.
//!
//! `paths` (where things are), `batch` (orders, each spec once), `log` (lines, appended), `records`
//! (`done.json`), `lock` (one engine a folder), `program` (words, variables and outputs of a process), `output` (reading what it wrote).

pub(crate) mod batch;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod output;
pub(crate) mod paths;
pub(crate) mod program;
pub(crate) mod records;
