//! Retries: exponential backoff, and logging of lasting problems and of outages.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The first pause of most retries, and the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// Time without the problem after which it is over.
const QUIET: Duration = Duration::from_secs(10);

/// Exponential backoff: each pause is twice as long as the last, up to a longest one.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(LONGEST)
    }
}

impl Backoff {
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        Self { next: FIRST, longest }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.min(self.longest);
        self.next = pause.saturating_mul(2);
        pause
    }

    /// Sleeps for the next pause.
    pub async fn wait(&mut self) {
        sleep(self.pause()).await;
    }

    /// Starts again with the first pause.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}

/// Decides whether a problem is logged: once, until it changes or is over. A flapping one, as a
/// full queue, is logged as failing once.
#[derive(Debug, Default)]
pub struct LogOnce {
    logged: Option<(String, Instant)>,
}

impl LogOnce {
    /// Records a problem. `true` if it must be logged.
    pub fn is_new(&mut self, problem: &str, now: Instant) -> bool {
        match &mut self.logged {
            Some((logged, last)) if logged == problem => {
                *last = now;
                false
            }
            logged => {
                *logged = Some((problem.to_owned(), now));
                true
            }
        }
    }

    /// Records a success. `true` if the end of the problem must be logged.
    pub fn is_over(&mut self, now: Instant) -> bool {
        self.logged.take_if(|(_, last)| now.duration_since(*last) >= QUIET).is_some()
    }

    /// Logs a problem as a warning if it is new.
    pub fn warn(&mut self, problem: &str) {
        if self.is_new(problem, Instant::now()) {
            log::warn!("{problem}");
        }
    }

    /// Records a success, and logs `message` if a problem has ended.
    pub fn recovered(&mut self, message: &str) {
        if self.is_over(Instant::now()) {
            log::info!("{message}");
        }
    }
}

/// Decides whether an outage of a service is logged: its begin and its end once each, whatever the
/// attempts meanwhile fail with. One that begins soon after another has ended is logged if it lasts.
#[derive(Debug, Default)]
pub struct Outage {
    is_logged: bool,
    last_end: Option<Instant>,
}

impl Outage {
    /// Records a failure. `true` if the outage must be logged.
    pub fn is_new(&mut self, now: Instant) -> bool {
        let may_flap = self.last_end.is_some_and(|end| now.duration_since(end) < QUIET);
        let is_new = !self.is_logged && !may_flap;
        self.is_logged |= is_new;
        is_new
    }

    /// Records a success. `true` if the end of an outage must be logged.
    pub fn is_over(&mut self, now: Instant) -> bool {
        let is_over = std::mem::take(&mut self.is_logged);
        if is_over {
            self.last_end = Some(now);
        }
        is_over
    }

    /// Logs a failure as a warning if the outage is new.
    pub fn warn(&mut self, problem: &str) {
        if self.is_new(Instant::now()) {
            log::warn!("{problem}");
        }
    }

    /// Records a success, and logs `message` if an outage has ended.
    pub fn recovered(&mut self, message: &str) {
        if self.is_over(Instant::now()) {
            log::info!("{message}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_logged_when_it_begins_and_when_it_ends() {
        let (mut outage, mut now) = (Outage::default(), Instant::now());
        assert!(!outage.is_over(now), "nothing has failed");
        for _ in 0..2 {
            assert!(outage.is_new(now));
            for _ in 0..100 {
                now += Duration::from_secs(1);
                assert!(!outage.is_new(now), "it lasts");
            }
            assert!(outage.is_over(now));
            assert!(!outage.is_over(now), "logged already");
            now += QUIET;
        }
    }

    #[test]
    fn a_service_that_flaps_is_logged_now_and_then_and_one_that_stays_away_always() {
        let (mut outage, mut now) = (Outage::default(), Instant::now());
        let mut logged = 0;
        for _ in 0..60 {
            logged += usize::from(outage.is_new(now)) + usize::from(outage.is_over(now));
            now += Duration::from_secs(1);
        }
        assert_eq!(logged, 12, "two lines in ten seconds");
        let stays_away = (0..=10).any(|s| outage.is_new(now + Duration::from_secs(s)));
        assert!(stays_away);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(350));
        let pauses: Vec<_> = (0..4).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 350, 350]);
        backoff.reset();
        assert_eq!(backoff.pause(), FIRST);
    }

    #[test]
    fn a_problem_that_comes_and_goes_is_logged_once() {
        let (mut log_once, mut now) = (LogOnce::default(), Instant::now());
        assert!(!log_once.is_over(now), "no problem yet");
        assert!(log_once.is_new("full", now));
        for _ in 0..100 {
            now += Duration::from_secs(1);
            assert!(!log_once.is_over(now));
            assert!(!log_once.is_new("full", now));
        }
        assert!(log_once.is_new("gone", now), "another problem");
        now += QUIET;
        assert!(log_once.is_over(now));
        assert!(!log_once.is_over(now), "logged already");
        assert!(log_once.is_new("gone", now), "again");
    }
}
