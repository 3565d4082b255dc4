//! Several things beside each other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does something with each item, several at a time and in the order of the list. The results come in the order in
/// which they were done.
pub fn run<T: Sync, R: Send>(items: &[T], at_once: usize, act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let taken = AtomicUsize::new(0);
    let next = || items.get(taken.fetch_add(1, Ordering::Relaxed));
    let results = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for _ in 0..at_once.max(1) {
            scope.spawn(|| {
                while let Some(item) = next() {
                    let result = act(item);
                    // Whoever panicked while it added one has not left it half added.
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push(result);
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn each_is_done_once() {
        let mut done = run(&[1, 2, 3, 4, 5], 2, |number| number * 10);
        done.sort_unstable();
        assert_eq!(done, [10, 20, 30, 40, 50]);
        assert!(run(&[], 2, |number: &u8| *number).is_empty());
    }

    #[test]
    fn several_at_a_time() {
        let both = Barrier::new(2);
        assert_eq!(run(&[(), ()], 2, |()| both.wait()).len(), 2);
    }
}
