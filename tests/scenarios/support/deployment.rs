//! An app of three nodes: how they reach each other, and the node that each client is on.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Node, broker, eventually, redis};

/// Nodes of such an app.
pub const NODES: usize = 3;

/// Set to `all`, each scenario over three nodes runs with each driver, one after the other.
const DRIVERS: &str = "FRONTDESK_TEST_DRIVERS";

/// The seed of the draw, to repeat a failure.
const SEED: &str = "FRONTDESK_TEST_SEED";

/// The backplane between the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    Postgres,
    Redis,
}

const ALL: [Driver; 2] = [Driver::Postgres, Driver::Redis];

/// The drivers that a scenario runs with: one, always the same, or all.
pub fn drivers(scenario: &str) -> Vec<Driver> {
    if std::env::var(DRIVERS).is_ok_and(|drivers| drivers == "all") {
        return ALL.to_vec();
    }
    // The hash of the name, so that a new scenario does not change the driver of another. (FNV-1a)
    let hash = scenario.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    // The upper half: the lowest bit is only the parity of the letters.
    vec![ALL[(hash >> 32) as usize % ALL.len()]]
}

/// Small nodes: three share the test's part of two cores and of PostgreSQL's connections.
pub fn settings(driver: Driver) -> Vec<(String, String)> {
    let mut settings =
        vec![("server.workers", "1".to_owned()), ("database.pool_size", "2".to_owned())];
    if driver == Driver::Redis {
        settings.extend([("redis.url", redis::url()), ("redis.prefix", broker::prefix())]);
    }
    settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Waits until each of these nodes knows the others.
pub async fn meet(nodes: impl ExactSizeIterator<Item = &Node>) {
    let others = nodes.len() - 1;
    for node in nodes.filter(|_| others > 0) {
        eventually("the nodes know each other", || async {
            (node.metric("frontdesk_peers").await == others as f64).then_some(())
        })
        .await;
    }
}

/// Draws nodes at random, the same again with the same seed. (splitmix64)
pub struct Draw(AtomicU64);

impl Draw {
    /// Of a random seed, or of the one that is set. A test that fails shows it.
    #[expect(clippy::print_stdout, reason = "cargo shows it where a test has failed")]
    pub fn announced(what: impl std::fmt::Debug) -> Self {
        let seed = std::env::var(SEED).map_or_else(
            |_| uuid::Uuid::new_v4().as_u64_pair().0,
            |seed| seed.parse().unwrap_or_else(|e| panic!("{SEED} is no number: {e}")),
        );
        println!("{what:?}; to repeat: {SEED}={seed}");
        Self(AtomicU64::new(seed))
    }

    /// One of `0..count`.
    pub fn below(&self, count: usize) -> usize {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % count as u64) as usize
    }
}
