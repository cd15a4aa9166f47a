//! Limits of a spec, so that no tenant can fill the network's memory with one request.

/// Longest job name.
pub const NAME_LENGTH_MAX: usize = 128;
/// Longest script or sum of a command's arguments, in bytes.
pub const WORK_BYTES_MAX: usize = 256 * 1024;
/// Most variables in the environment.
pub const ENVIRONMENT_MAX: usize = 256;
/// Most bytes of all variables and their names.
pub const ENVIRONMENT_BYTES_MAX: usize = 64 * 1024;
/// Most tasks of a job.
pub const TASKS_MAX: u64 = 10_000_000;
/// Most tasks of a gang.
pub const GANG_MAX: u64 = 100_000;
/// Longest walltime: 366 days.
pub const WALLTIME_MS_MAX: u64 = 366 * 24 * 3600 * 1000;
/// Most cores of one task.
pub const CORES_MAX: u64 = 1_000_000;
/// Most memory of one task: 1 PiB.
pub const MEMORY_MAX: u64 = 1 << 50;
/// Most attempts beyond the first.
pub const RETRIES_MAX: u32 = 100;
/// Priorities go from minus this to this.
pub const PRIORITY_MAX: i32 = 1000;
/// Most jobs that one job waits for.
pub const AFTER_MAX: usize = 1000;
/// Most centres that a task reads data of.
pub const READS_MAX: usize = 16;
/// Most that a task reads of one centre: 1 EiB.
pub const READ_BYTES_MAX: u64 = 1 << 60;
/// Most files that are brought to a task, and most that are taken from it.
pub const DATA_MAX: usize = 64;
/// The largest size of one such file: 1 PiB.
pub const DATA_BYTES_MAX: u64 = 1 << 50;
/// Longest path inside a data folder.
pub const DATA_PATH_MAX: usize = 255;
/// Longest URL of data.
pub const URL_LENGTH_MAX: usize = 2048;
