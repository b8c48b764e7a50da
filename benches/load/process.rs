//! Cost of processes, from the kernel's accounting.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

use anyhow::{Context, Result};

/// One process, all its threads, those that have ended included.
#[derive(Clone, Copy)]
pub struct Process(pub u32);

/// CPU time as in `/proc/PID/stat`: in ticks, of which Linux shows 100 a second to every program.
struct Times {
    parent: u32,
    own: u64,
    reaped: u64,
}

impl Process {
    /// User and system time since it started.
    pub fn cpu(self) -> Result<Duration> {
        Ok(ticks(self.times()?.own))
    }

    /// Resident memory, in KiB.
    pub fn resident(self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))
            .context("the process is gone")?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    fn times(self) -> Result<Times> {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.0)).context("the process is gone")?;
        // The second field is the name in brackets, and may hold anything.
        let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| -> Result<u64> {
            Ok(fields.get(number - 3).context("a short stat")?.parse()?)
        };
        Ok(Times {
            parent: field(4)? as u32,
            own: field(14)? + field(15)?,
            reaped: field(16)? + field(17)?,
        })
    }
}

/// A PostgreSQL cluster: the postmaster, its children, and those it has buried.
#[derive(Clone, Copy)]
pub struct Cluster(pub Process);

impl Cluster {
    /// User and system time of all its processes since it started.
    pub fn cpu(self) -> Result<Duration> {
        let postmaster = self.0.times()?;
        let mut total = postmaster.own + postmaster.reaped;
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that ends meanwhile is among the buried of the next reading.
            let Ok(times) = Process(pid).times() else { continue };
            if times.parent == self.0.0 {
                total += times.own;
            }
        }
        Ok(ticks(total))
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(10 * count)
}

/// CPU used up to a moment, or between two.
#[derive(Clone, Copy)]
pub struct Usage {
    pub server: Duration,
    pub database: Duration,
    pub redis: Duration,
}

impl Usage {
    /// CPU of the server for each of so many, in µs.
    pub fn server_us(self, count: f64) -> f64 {
        self.server.as_secs_f64() * 1e6 / count
    }

    /// CPU of Redis for each of so many, in µs.
    pub fn redis_us(self, count: f64) -> f64 {
        self.redis.as_secs_f64() * 1e6 / count
    }

    /// CPU of the database for each of so many, in µs.
    pub fn database_us(self, count: f64) -> f64 {
        self.database.as_secs_f64() * 1e6 / count
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            server: self.server - before.server,
            database: self.database.saturating_sub(before.database),
            redis: self.redis.saturating_sub(before.redis),
        }
    }
}
