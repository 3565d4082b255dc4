//! How those that fill a bounded table leave room to each other.
//!
//! An outermost container has a fixed part of a table. A place may hold three times as much as is free. So one that grows alone
//! may fill three quarters of the table, the next one three quarters of the rest, and so on: of 4096 entries the fifth still gets
//! a dozen.

use agent_common::map::PLACE_LEVEL;

/// The part of a table that one outermost container may fill: one of so many.
pub const PARTS: usize = 8;
/// One place may hold so many times as much as is free: alone, three quarters.
const OF_FREE: usize = 3;

/// Returns whether a place that holds so many entries may get one more, where so many are free.
pub const fn may_grow(held: usize, free: usize) -> bool {
    held < free.saturating_mul(OF_FREE)
}

/// Returns the place of what has this path: the cgroup above it, or the one at the level of places.
pub fn place(path: &str) -> &str {
    let parent = path.rsplit_once('/').map_or(path, |(parent, _)| parent);
    let mut ends = parent.match_indices('/').map(|(at, _)| at);
    ends.nth(usize::from(PLACE_LEVEL))
        .map_or(parent, |at| parent.get(..at).unwrap_or(parent))
}

#[cfg(test)]
mod tests {
    use super::{may_grow, place};

    #[test]
    fn each_place_may_take_three_quarters_of_what_is_free() {
        let mut free = 4096;
        let mut fill = || {
            let mut held = 0;
            while may_grow(held, free) {
                held += 1;
                free -= 1;
            }
            held
        };
        assert_eq!([(); 6].map(|()| fill()), [3072, 768, 192, 48, 12, 3]);
    }

    #[test]
    fn a_place_is_above_the_container_and_near_the_root() {
        for (path, expected) in [
            ("/docker-1.scope", ""),
            ("/system.slice/docker-1.scope", "/system.slice"),
            ("/k8s.io/1", "/k8s.io"),
            ("/kubepods/burstable/pod1/2", "/kubepods/burstable"),
            (
                "/user.slice/user-1.slice/user@1.service/a/libpod-1.scope",
                "/user.slice/user-1.slice",
            ),
        ] {
            assert_eq!(place(path), expected, "{path}");
        }
    }
}
