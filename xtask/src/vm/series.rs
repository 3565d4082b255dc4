//! Which kernel series there are and which Debian suites carry them: the one table to edit for a new kernel.

/// One upstream series and where Debian keeps its builds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Series {
    /// Upstream major and minor, the name on the command line.
    pub(crate) name: &'static str,
    /// Suites asked for it; a `-security` suite holds the newer build where both have one.
    pub(crate) suites: &'static [&'static str],
}

const BULLSEYE: &[&str] = &["bullseye", "bullseye-security"];
const BOOKWORM: &[&str] = &["bookworm", "bookworm-security"];
const TRIXIE: &[&str] = &["trixie", "trixie-security"];
const BACKPORTS: &[&str] = &["trixie-backports"];

/// Oldest first, as the matrix shows them.
pub(crate) const ALL: &[Series] = &[
    Series {
        name: "5.10",
        suites: BULLSEYE,
    },
    Series {
        name: "6.1",
        suites: BOOKWORM,
    },
    Series {
        name: "6.12",
        suites: TRIXIE,
    },
    Series {
        name: "6.16",
        suites: BACKPORTS,
    },
    Series {
        name: "6.17",
        suites: BACKPORTS,
    },
    Series {
        name: "6.18",
        suites: BACKPORTS,
    },
    Series {
        name: "6.19",
        suites: BACKPORTS,
    },
    Series {
        name: "7.0",
        suites: BACKPORTS,
    },
    Series {
        name: "7.1",
        suites: BACKPORTS,
    },
    Series {
        name: "7.2",
        suites: BACKPORTS,
    },
    Series {
        name: "7.3",
        suites: BACKPORTS,
    },
];

/// What runs when no kernel is named. Each entry is a choice: the first that can be had.
pub(crate) const DEFAULT: &[&[&str]] =
    &[&["5.10"], &["6.1"], &["6.12"], &["6.19", "7.2"], &["7.3"]];

/// The series of this name; the error lists the known ones.
pub(crate) fn find(name: &str) -> Result<&'static Series, String> {
    ALL.iter()
        .find(|series| series.name == name)
        .ok_or_else(|| {
            let known: Vec<_> = ALL.iter().map(|series| series.name).collect();
            format!("no such kernel series; known are {}", known.join(" "))
        })
}

impl Series {
    /// The kernel release that a package of this series holds, e.g. `6.1.0-50-cloud-amd64`; `None` for any other
    /// package. From 6.19 on Debian's `linux-image-*` is empty and `linux-binary-*` has the kernel.
    pub(crate) fn release<'a>(&self, package: &'a str) -> Option<&'a str> {
        let release = package
            .strip_prefix("linux-binary-")
            .or_else(|| package.strip_prefix("linux-image-"))?;
        let patch = release.strip_prefix(self.name)?.strip_prefix('.')?;
        (patch.starts_with(|c: char| c.is_ascii_digit()) && patch.ends_with("-cloud-amd64"))
            .then_some(release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_in_the_table() {
        for name in DEFAULT.iter().copied().flatten() {
            assert!(find(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn an_unknown_series_names_the_known_ones() {
        assert!(find("4.19").unwrap_err().contains("5.10 6.1"));
    }

    #[test]
    fn only_signed_cloud_kernels_of_the_series_match() {
        let series = find("6.1").unwrap();
        assert_eq!(
            series.release("linux-image-6.1.0-50-cloud-amd64"),
            Some("6.1.0-50-cloud-amd64")
        );
        for other in [
            "linux-image-6.12.107+deb12-cloud-amd64",
            "linux-image-6.1-cloud-amd64",
            "linux-image-cloud-amd64",
            "linux-image-6.1.0-50-amd64",
            "linux-image-6.1.0-50-cloud-amd64-dbg",
            "linux-image-6.1.0-50-cloud-amd64-unsigned",
            "linux-headers-6.1.0-50-cloud-amd64",
        ] {
            assert_eq!(series.release(other), None, "{other}");
        }
    }

    #[test]
    fn newer_kernels_are_found_in_the_binary_package() {
        let series = find("7.3").unwrap();
        assert_eq!(
            series.release("linux-binary-7.3.4+deb13-cloud-amd64"),
            Some("7.3.4+deb13-cloud-amd64")
        );
        assert_eq!(
            series.release("linux-binary-unsigned-7.3.4+deb13-cloud-amd64"),
            None
        );
    }
}
