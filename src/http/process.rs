//! Measures of this process, as Linux tells them in `/proc`; elsewhere they stay 0.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::metrics::Metrics;

/// Measures the process into its metrics.
pub fn measure(metrics: &Metrics) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<i64>().ok()
    });
    metrics.resident_bytes.set(kibibytes.unwrap_or(0).saturating_mul(1024));
    let files = fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or(0);
    metrics.open_files.set(i64::try_from(files).unwrap_or(i64::MAX));
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    metrics.open_files_max.set(i64::try_from(most).unwrap_or(i64::MAX));
}
