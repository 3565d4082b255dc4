//! How many Events may be written: a token bucket for the node, and one for each pod. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Of the whole node: a rolling update or a drain may stop some hundred containers in a moment.
const NODE: Rate = Rate {
    burst: 100,
    every: Duration::from_secs(1),
};
/// Of one pod: a container that crashes in a loop says the same again and again.
const POD: Rate = Rate {
    burst: 10,
    every: Duration::from_mins(1),
};
/// Pods whose bucket is remembered.
const PODS_MAX: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: u32,
    every: Duration,
}

/// Filled at the start, refilled as time goes by.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    tokens: u32,
    filled_at: Instant,
}

impl Bucket {
    const fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            tokens: rate.burst,
            filled_at: now,
        }
    }

    fn refill(&mut self, now: Instant) {
        while self.tokens < self.rate.burst && now.duration_since(self.filled_at) >= self.rate.every
        {
            self.tokens += 1;
            self.filled_at += self.rate.every;
        }
        if self.tokens == self.rate.burst {
            self.filled_at = now;
        }
    }

    const fn is_full(&self) -> bool {
        self.tokens == self.rate.burst
    }
}

/// All buckets.
#[derive(Debug)]
pub(super) struct Limits {
    node: Bucket,
    pods: BTreeMap<String, Bucket>,
}

impl Limits {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            node: Bucket::new(NODE, now),
            pods: BTreeMap::new(),
        }
    }

    /// Whether one more may be written for this pod; counts it if so.
    pub(super) fn try_acquire(&mut self, pod: &str, now: Instant) -> bool {
        self.node.refill(now);
        if self.pods.len() >= PODS_MAX && !self.pods.contains_key(pod) {
            self.pods.retain(|_pod, bucket| {
                bucket.refill(now);
                !bucket.is_full()
            });
            if self.pods.len() >= PODS_MAX {
                return false;
            }
        }
        let bucket = self
            .pods
            .entry(pod.to_owned())
            .or_insert_with(|| Bucket::new(POD, now));
        bucket.refill(now);
        if self.node.tokens == 0 || bucket.tokens == 0 {
            return false;
        }
        self.node.tokens -= 1;
        bucket.tokens -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(limits: &mut Limits, pod: &str, times: usize, now: Instant) -> usize {
        (0..times)
            .filter(|_time| limits.try_acquire(pod, now))
            .count()
    }

    #[test]
    fn a_pod_in_a_crash_loop_does_not_take_the_others_room() {
        let start = Instant::now();
        let mut limits = Limits::new(start);
        assert_eq!(allowed(&mut limits, "loop", 1000, start), 10);
        assert_eq!(allowed(&mut limits, "other", 3, start), 3);
        let later = start + Duration::from_secs(150);
        assert_eq!(allowed(&mut limits, "loop", 1000, later), 2);
    }

    #[test]
    fn a_node_has_its_limit_too() {
        let start = Instant::now();
        let mut limits = Limits::new(start);
        let pods = |limits: &mut Limits, now| {
            (0..300)
                .filter(|pod| limits.try_acquire(&format!("pod-{pod}"), now))
                .count()
        };
        assert_eq!(pods(&mut limits, start), 100);
        assert_eq!(pods(&mut limits, start + Duration::from_secs(7)), 7);
    }

    #[test]
    fn buckets_of_many_pods_are_forgotten_once_full() {
        let mut now = Instant::now();
        let mut limits = Limits::new(now);
        for pod in 0..5 * PODS_MAX {
            now += Duration::from_secs(1);
            assert!(limits.try_acquire(&format!("pod-{pod}"), now), "pod {pod}");
        }
        assert!(limits.pods.len() <= PODS_MAX);
    }
}
