//! What waits while something runs, to go together once it has: batching with no timer.

use std::collections::VecDeque;

/// A queue whose items are taken many at a time, one run after the other.
#[derive(Debug)]
pub struct Gather<T> {
    waiting: VecDeque<T>,
    busy: bool,
}

impl<T> Default for Gather<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), busy: false }
    }
}

impl<T> Gather<T> {
    pub fn push(&mut self, item: T) {
        self.waiting.push_back(item);
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Begins a run with what waits, as long as `fits` says so of each item, and at least one.
    /// Nothing while a run is under way, or nothing waits.
    pub fn begin(&mut self, mut fits: impl FnMut(&T) -> bool) -> Option<Vec<T>> {
        if self.busy {
            return None;
        }
        let mut run = vec![self.waiting.pop_front()?];
        let first_fits = run.first().is_some_and(&mut fits);
        while let Some(next) = self.waiting.front()
            && first_fits
            && fits(next)
        {
            run.extend(self.waiting.pop_front());
        }
        self.busy = true;
        Some(run)
    }

    /// The run has ended.
    pub fn end(&mut self) {
        self.busy = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_during_a_run_goes_together_into_the_next() {
        let mut gather = Gather::default();
        gather.push(1);
        assert_eq!(gather.begin(|_| true), Some(vec![1]));
        gather.push(2);
        gather.push(3);
        assert_eq!(gather.begin(|_| true), None);
        gather.end();
        assert_eq!(gather.begin(|_| true), Some(vec![2, 3]));
    }

    #[test]
    fn a_run_is_bounded_and_takes_at_least_one() {
        let mut gather = Gather::default();
        [5, 5, 5].into_iter().for_each(|item| gather.push(item));
        let mut room = 10;
        let mut fits = |item: &i32| {
            room -= item;
            room >= 0
        };
        assert_eq!(gather.begin(&mut fits), Some(vec![5, 5]));
        gather.end();
        assert_eq!(gather.begin(|_| false), Some(vec![5]));
    }
}
