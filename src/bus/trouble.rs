//! What is wrong, said in the log once, however often it happens.

use std::time::Duration;

use tokio::time::Instant;

/// How long nothing must have been wrong before that is said.
const QUIET: Duration = Duration::from_secs(10);

/// What was said of one thing that goes wrong. One that fails and works by turns, as a queue that is
/// full does, is said to fail, and not more.
#[derive(Default)]
pub(super) struct Trouble {
    said: Option<(String, Instant)>,
}

impl Trouble {
    /// Notes what is wrong; whether that is to be said.
    pub fn is_news(&mut self, problem: &str, now: Instant) -> bool {
        match &mut self.said {
            Some((said, last)) if said == problem => {
                *last = now;
                false
            }
            said => {
                *said = Some((problem.to_owned(), now));
                true
            }
        }
    }

    /// Notes that it works; whether it is to be said that the trouble is over.
    pub fn is_over(&mut self, now: Instant) -> bool {
        self.said.take_if(|(_, last)| now.duration_since(*last) >= QUIET).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_and_works_by_turns_is_said_once() {
        let (mut trouble, mut now) = (Trouble::default(), Instant::now());
        assert!(!trouble.is_over(now), "there was none");
        assert!(trouble.is_news("full", now));
        for _ in 0..100 {
            now += Duration::from_secs(1);
            assert!(!trouble.is_over(now));
            assert!(!trouble.is_news("full", now));
        }
        assert!(trouble.is_news("gone", now), "another one");
        now += QUIET;
        assert!(trouble.is_over(now));
        assert!(!trouble.is_over(now), "said already");
        assert!(trouble.is_news("gone", now), "again");
    }
}
