//! How many files this process may have open. The kernel's side of the agent is files: each map, each program, and what attaches it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What measuring takes: some sixty for the kernel's side, twenty for threads and sockets, ten for the Kubernetes API; the rest is
/// for /proc and for clients.
const FILES_MIN: u64 = 128;

/// Sees to it that there are enough, if need be by a higher limit.
///
/// # Errors
/// A sentence with the way out, if the limit is lower and only an administrator can raise it.
pub(crate) fn provide() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let Some(raised) = raised(&limit) else {
        return Ok(());
    };
    setrlimit(Resource::Nofile, raised).map_err(|_refused| {
        let files = limit.current.unwrap_or_default();
        anyhow::anyhow!(
            "this process may open {files} files and measuring needs {FILES_MIN}: raise the limit, by LimitNOFILE={FILES_MIN} or more in the unit, or by `ulimit -n {FILES_MIN}` before the start"
        )
    })
}

/// The limit that is needed, unless there is enough: as little more as possible. None is no limit.
fn raised(limit: &Rlimit) -> Option<Rlimit> {
    let is_low = |files: &u64| *files < FILES_MIN;
    limit.current.filter(is_low).map(|_files| Rlimit {
        current: Some(FILES_MIN),
        maximum: limit.maximum.map(|files| files.max(FILES_MIN)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised_limit(
        current: Option<u64>,
        maximum: Option<u64>,
    ) -> Option<(Option<u64>, Option<u64>)> {
        raised(&Rlimit { current, maximum }).map(|limit| (limit.current, limit.maximum))
    }

    #[test]
    fn a_limit_is_raised_to_what_is_needed_and_no_further() {
        assert_eq!(raised_limit(None, None), None);
        assert_eq!(raised_limit(Some(1024), Some(4096)), None);
        assert_eq!(raised_limit(Some(FILES_MIN), Some(FILES_MIN)), None);
        let needed = Some(FILES_MIN);
        assert_eq!(
            raised_limit(Some(64), Some(4096)),
            Some((needed, Some(4096)))
        );
        assert_eq!(raised_limit(Some(64), None), Some((needed, None)));
        assert_eq!(raised_limit(Some(64), Some(64)), Some((needed, needed)));
    }
}
