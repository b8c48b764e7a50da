//! Group-commit queue: items that come during a run go together into the next. No timer.

use std::collections::VecDeque;

/// A queue whose items are taken many at a time, one run after the other.
#[derive(Debug)]
pub struct BatchQueue<T> {
    waiting: VecDeque<T>,
    busy: bool,
}

impl<T> Default for BatchQueue<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), busy: false }
    }
}

impl<T> BatchQueue<T> {
    pub fn push(&mut self, item: T) {
        self.waiting.push_back(item);
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Begins a run with the items that wait, as long as each `fits`, and at least one. Nothing
    /// while a run is under way, or nothing waits.
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
        let mut queue = BatchQueue::default();
        queue.push(1);
        assert_eq!(queue.begin(|_| true), Some(vec![1]));
        queue.push(2);
        queue.push(3);
        assert_eq!(queue.begin(|_| true), None);
        queue.end();
        assert_eq!(queue.begin(|_| true), Some(vec![2, 3]));
    }

    #[test]
    fn a_run_is_bounded_and_takes_at_least_one() {
        let mut queue = BatchQueue::default();
        [5, 5, 5].into_iter().for_each(|item| queue.push(item));
        let mut room = 10;
        let mut fits = |item: &i32| {
            room -= item;
            room >= 0
        };
        assert_eq!(queue.begin(&mut fits), Some(vec![5, 5]));
        queue.end();
        assert_eq!(queue.begin(|_| false), Some(vec![5]));
    }
}
