//! The Go modules that the tools are built from, and how. Versions stand in `tests/cluster/go/*/go.mod`, where
//! `tool` directives name the commands; what is here is only what `go build` cannot know.

/// A module of ours whose tools are built together.
#[derive(Debug)]
pub(super) struct Module {
    /// Its folder below `tests/cluster/go`.
    pub(super) name: &'static str,
    /// The module whose version counts.
    pub(super) of: &'static str,
    /// Linked against C libraries, statically.
    pub(super) cgo: bool,
    pub(super) tags: &'static str,
    /// Flags of the linker; `{version}` and `{minor}` stand for those of [`Self::of`].
    pub(super) linker: &'static str,
    /// What the build makes.
    pub(super) programs: &'static [&'static str],
    /// A program that `go build` names otherwise than everybody else does: its name, and ours.
    pub(super) renamed: Option<(&'static str, &'static str)>,
    /// The package whose tests are a program, too: the first of [`Self::programs`]. The others are tools.
    pub(super) tests: Option<&'static str>,
    /// What to expect of a build with an empty cache.
    pub(super) effort: &'static str,
}

/// Signals by `pidfd_send_signal` since 1.4.
pub(super) const RUNC: Module = Module {
    name: "runc",
    of: "github.com/opencontainers/runc",
    // Its first steps in a new container's namespaces are C, see
    // https://github.com/opencontainers/runc/tree/v1.5.2/libcontainer/nsenter
    cgo: true,
    tags: "netgo osusergo runc_nocriu seccomp",
    linker: "-X main.version={version} -extldflags -static",
    programs: &["runc"],
    renamed: None,
    tests: None,
    effort: "about half a minute",
};

pub(super) const CONTAINERD: Module = Module {
    name: "containerd",
    of: "github.com/containerd/containerd/v2",
    cgo: false,
    tags: "no_btrfs no_zfs no_devmapper",
    linker: "-X github.com/containerd/containerd/v2/version.Version=v{version}",
    programs: &["containerd", "containerd-shim-runc-v2", "ctr"],
    renamed: None,
    tests: None,
    effort: "about a minute and a half",
};

pub(super) const CNI: Module = Module {
    name: "cni",
    of: "github.com/containernetworking/plugins",
    cgo: false,
    tags: "",
    linker: "",
    programs: &["bridge", "host-local", "loopback"],
    renamed: None,
    tests: None,
    effort: "about ten seconds",
};

pub(super) const ETCD: Module = Module {
    name: "etcd",
    of: "go.etcd.io/etcd/server/v3",
    cgo: false,
    tags: "",
    linker: "",
    programs: &["etcd"],
    renamed: Some(("server", "etcd")),
    tests: None,
    effort: "about half a minute",
};

pub(super) const KUBERNETES: Module = Module {
    name: "kubernetes",
    of: "k8s.io/kubernetes",
    cgo: false,
    tags: "",
    // Without a version the components refuse to say which features are theirs.
    linker: "-X k8s.io/component-base/version.gitVersion=v{version} \
             -X k8s.io/component-base/version.gitMajor=1 \
             -X k8s.io/component-base/version.gitMinor={minor}",
    programs: &[
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
        "kubectl",
        "kubelet",
    ],
    renamed: None,
    tests: None,
    effort: "some ten minutes on two cores",
};

/// Renders the mixin.
pub(super) const JSONNET: Module = Module {
    name: "jsonnet",
    of: "github.com/google/go-jsonnet",
    cgo: false,
    tags: "",
    linker: "",
    programs: &["jsonnet", "jsonnetfmt"],
    renamed: None,
    tests: None,
    effort: "about half a minute",
};

/// Its 3.16.0 is the module's 0.316.0. Without the pages for a browser, which are no part of a Go module, and with one
/// way alone to find whom to scrape.
pub(super) const PROMETHEUS: Module = Module {
    name: "prometheus",
    of: "github.com/prometheus/prometheus",
    cgo: false,
    tags: "netgo remove_all_sd enable_kubernetes_sd",
    linker: "-X github.com/prometheus/common/version.Version={version}",
    programs: &["prometheus", "promtool"],
    renamed: None,
    tests: None,
    effort: "some minutes on two cores",
};

/// And kustomize, of whose libraries Helm uses most.
pub(super) const HELM: Module = Module {
    name: "helm",
    of: "helm.sh/helm/v4",
    cgo: false,
    tags: "",
    linker: "-X helm.sh/helm/v4/internal/version.version=v{version}",
    programs: &["helm", "kustomize"],
    renamed: None,
    tests: None,
    effort: "about two minutes",
};

/// cri-tools' suite for container runtimes.
pub(super) const CRITEST: Module = Module {
    name: "critest",
    of: "sigs.k8s.io/cri-tools",
    cgo: false,
    tags: "",
    linker: "-X sigs.k8s.io/cri-tools/pkg/version.Version={version}",
    programs: &["critest"],
    renamed: Some(("critest.test", "critest")),
    tests: Some("sigs.k8s.io/cri-tools/cmd/critest"),
    effort: "about a minute",
};

/// Kubernetes' own end-to-end tests, what runs them beside each other, and the program in most of their images.
pub(super) const KUBERNETES_TESTS: Module = Module {
    name: "kubernetes-tests",
    of: "k8s.io/kubernetes",
    cgo: false,
    tags: "",
    // They leave out what is not for this version.
    linker: KUBERNETES.linker,
    programs: &["e2e.test", "agnhost", "ginkgo"],
    renamed: None,
    tests: Some("k8s.io/kubernetes/test/e2e"),
    effort: "some minutes on two cores",
};
