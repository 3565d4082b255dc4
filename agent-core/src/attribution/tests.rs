//! Paths as runtimes and systemd make them.

use super::Selectors;
use crate::config::{Config, ConfigError, Limits, Selector};
use crate::event::CgroupId;
use crate::output::Names;
use crate::report::SubjectKind::{
    self, Cgroup, Containerd, Crio, Docker, Podman, SystemdScope, SystemdService,
};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ID2: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

fn selector_for(cgroup: &str) -> Selector {
    Selector {
        cgroup: cgroup.to_owned(),
        grace: None,
        stop_signal: None,
        pre_stop: None,
    }
}

fn config(globs: &[&str]) -> Config {
    Config {
        systemd: true,
        containers: true,
        selectors: globs.iter().map(|glob| selector_for(glob)).collect(),
        pods: false,
        reset_reasons: None,
        remaining: false,
        limits: Limits::default(),
    }
}

fn subject(globs: &[&str], path: &str) -> Option<(SubjectKind, String)> {
    let selectors = Selectors::compile(&config(globs)).unwrap();
    let path = path.replace("ID2", ID2).replace("ID", ID);
    let subject = selectors.subject(CgroupId(1), &path)?;
    assert_eq!(subject.path, path);
    Some((subject.kind, subject.name))
}

fn assert_subject(path: &str, kind: SubjectKind, name: &str) {
    assert_eq!(subject(&[], path), Some((kind, name.to_owned())), "{path}");
}

fn is_none(path: &str) {
    assert_eq!(subject(&[], path), None, "{path}");
}

const SHORT: &str = "0123456789ab";

#[test]
fn containers_of_every_runtime_and_driver() {
    assert_subject("/system.slice/docker-ID.scope", Docker, SHORT);
    assert_subject("/docker/ID", Docker, SHORT);
    assert_subject("/machine.slice/libpod-ID.scope", Podman, SHORT);
    assert_subject("/libpod_parent/libpod-ID", Podman, SHORT);
    assert_subject(
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
        Podman,
        SHORT,
    );
    assert_subject("/system.slice/web.service/libpod-payload-ID", Podman, SHORT);
    assert_subject("/system.slice/nerdctl-ID.scope", Containerd, SHORT);
    assert_subject("/k8s.io/ID", Containerd, SHORT);
    assert_subject("/default/ID", Containerd, SHORT);
    let pod = "kubepods-burstable-pod11111111_2222_3333_4444_555555555555.slice";
    for (scope, kind) in [
        ("cri-containerd", Containerd),
        ("crio", Crio),
        ("docker", Docker),
    ] {
        assert_subject(
            &format!("/kubepods.slice/kubepods-burstable.slice/{pod}/{scope}-ID.scope"),
            kind,
            SHORT,
        );
    }
    let pod = "/kubepods/burstable/pod11111111-2222-3333-4444-555555555555";
    assert_subject(&format!("{pod}/ID"), Containerd, SHORT);
    assert_subject(&format!("{pod}/crio-ID"), Crio, SHORT);
    assert_subject(
        "/system.slice/kubepods-besteffort-pod1_2.slice:cri-containerd:ID",
        Containerd,
        SHORT,
    );
}

const UID: &str = "11111111-2222-3333-4444-555555555555";
const UNDERSCORED: &str = "11111111_2222_3333_4444_555555555555";
/// Of a static pod: a hash.
const HASH: &str = "d1a5f3e0c2b4968700112233445566ff";

/// Kind and pod of a container with this path, below `pod` the folders of the pod.
fn of_pod(path: &str) -> (SubjectKind, Option<String>) {
    let selectors = Selectors::compile(&config(&[])).unwrap();
    let path = path.replace("ID2", ID2).replace("ID", ID);
    let subject = selectors.subject(CgroupId(1), &path).expect(&path);
    assert_eq!(subject.container_id.as_deref(), Some(ID), "{path}");
    (subject.kind, subject.pod_uid)
}

#[test]
fn the_pod_is_read_from_the_path_for_every_driver_runtime_and_class() {
    let runtimes = [
        ("cri-containerd-ID.scope", "ID", Containerd),
        ("crio-ID.scope", "crio-ID", Crio),
        ("docker-ID.scope", "ID", Containerd),
    ];
    for (scope, folder, kind) in runtimes {
        let by_scope = if scope.starts_with("docker") {
            Docker
        } else {
            kind
        };
        for (uid, underscored) in [(UID, UNDERSCORED), (HASH, HASH)] {
            let found = |kind| (kind, Some(uid.to_owned()));
            // Guaranteed pods lie beside the other classes.
            for class in ["", "burstable", "besteffort"] {
                let (slices, folders) = if class.is_empty() {
                    (format!("kubepods-pod{underscored}.slice"), String::new())
                } else {
                    (
                        format!("kubepods-{class}.slice/kubepods-{class}-pod{underscored}.slice"),
                        format!("/{class}"),
                    )
                };
                let systemd = format!("/kubepods.slice/{slices}/{scope}");
                let cgroupfs = format!("/kubepods{folders}/pod{uid}/{folder}");
                // On the node itself; as a service of its own (k3s).
                for above in ["", "/system.slice/k3s.service"] {
                    assert_eq!(of_pod(&format!("{above}{systemd}")), found(by_scope));
                    assert_eq!(of_pod(&format!("{above}{cgroupfs}")), found(kind));
                }
                // In a container that is a node itself (kind, minikube, k3d), or that only says so.
                for above in ["/system.slice/docker-ID2.scope", "/docker/ID2"] {
                    assert_eq!(of_pod(&format!("{above}{systemd}")), (by_scope, None));
                    assert_eq!(of_pod(&format!("{above}{cgroupfs}")), (kind, None));
                }
            }
        }
    }
}

#[test]
fn the_pod_is_read_from_the_forms_of_single_installations() {
    let uid = Some(UID.to_owned());
    let kubelet = "/kubelet.slice/kubelet-kubepods.slice";
    for (path, runtime) in [
        (
            format!(
                "{kubelet}/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{UNDERSCORED}.slice/cri-containerd-ID.scope"
            ),
            Containerd,
        ),
        (
            format!("/kubelet/kubepods/burstable/pod{UID}/ID"),
            Containerd,
        ),
        (
            format!("/system.slice/kubepods-besteffort-pod{UNDERSCORED}.slice:cri-containerd:ID"),
            Containerd,
        ),
        (
            format!(
                "/user.slice/user-1000.slice/user@1000.service/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-ID.scope"
            ),
            Crio,
        ),
    ] {
        assert_eq!(of_pod(&path), (runtime, uid.clone()), "{path}");
    }
}

#[test]
fn what_is_no_pod_of_a_kubelet_has_none() {
    for path in [
        "/machine.slice/machine-libpod_pod_ID2.slice/libpod-ID.scope",
        "/libpod_parent/ID2/libpod-ID",
        "/system.slice/podman.service/libpod-payload-ID",
        "/k8s.io/ID",
        "/docker/ID",
    ] {
        assert_eq!(of_pod(path).1, None, "{path}");
    }
    let inner = format!("/kubepods/pod{UID}/ID2/docker/ID");
    assert_eq!(of_pod(&inner), (Docker, None));
    // crun's own cgroup inside of CRI-O's belongs to the container.
    is_none(&format!(
        "/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-ID.scope/container"
    ));
    is_none(&format!(
        "/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-conmon-ID.scope"
    ));
    is_none(&format!("/kubepods.slice/kubepods-pod{UNDERSCORED}.slice"));
}

/// Whoever may make cgroups below its own may give them any name.
#[test]
fn all_below_a_container_of_a_pod_is_no_pod_of_its_own() {
    let victims = [
        format!("/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/cri-containerd-ID.scope"),
        format!("/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-ID.scope"),
        format!("/kubepods/burstable/pod{UID}/ID"),
        format!("/kubepods/pod{HASH}/crio-ID"),
        format!("/system.slice/kubepods-besteffort-pod{UNDERSCORED}.slice:cri-containerd:ID"),
    ];
    let attackers = [
        "/kubepods.slice/kubepods-pod1.slice/cri-containerd-ID2.scope",
        "/kubepods/besteffort/pod1/ID2",
        "/kubepods/besteffort/pod1/crio-ID2",
        "/system.slice/kubepods-pod1.slice:cri-containerd:ID2",
        "/machine.slice/libpod-ID2.scope",
        "/system.slice/web.service/libpod-payload-ID2",
        // Of a runtime that we do not know.
        "/kubepods/besteffort/pod1/sandboxed",
    ];
    for attacker in attackers {
        for below in ["", "/a", "/a/b.service"] {
            for victim in &victims {
                let path = format!("{attacker}{below}{victim}");
                assert_eq!(of_pod(&path).1, None, "{path}");
            }
        }
    }
    let mut units = config(&["/docker/*/kubepods/*/*"]);
    units.containers = false;
    let selectors = Selectors::compile(&units).unwrap();
    let path = format!("/docker/{ID2}/kubepods/pod{UID}/{ID}");
    let subject = selectors.subject(CgroupId(1), &path);
    assert_eq!(subject.unwrap().pod_uid, None);
}

#[test]
fn the_full_id_is_kept() {
    let selectors = Selectors::compile(&config(&[])).unwrap();
    let path = format!("/system.slice/docker-{ID}.scope");
    let subject = selectors.subject(CgroupId(5), &path).unwrap();
    assert_eq!(subject.container_id.as_deref(), Some(ID));
    assert_eq!(subject.cgroup, CgroupId(5));
    let unit = selectors.subject(CgroupId(5), "/system.slice/a.service");
    assert_eq!(unit.unwrap().container_id, None);
}

#[test]
fn units_of_systemd() {
    assert_subject(
        "/system.slice/nginx.service",
        SystemdService,
        "nginx.service",
    );
    assert_subject(
        "/system.slice/system-getty.slice/getty@tty1.service",
        SystemdService,
        "getty@tty1.service",
    );
    assert_subject(
        "/user.slice/user-0.slice/session-3.scope",
        SystemdScope,
        "session-3.scope",
    );
    assert_subject(
        "/user.slice/user-1000.slice/user@1000.service",
        SystemdService,
        "user@1000.service",
    );
    assert_subject(
        "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
        SystemdService,
        "web.service",
    );
}

#[test]
fn what_is_inside_a_subject_is_no_subject() {
    is_none("/system.slice/nginx.service/worker");
    is_none("/system.slice/nginx.service/inner.service");
    is_none("/system.slice/docker-ID.scope/init");
    is_none("/system.slice/docker-ID.scope/system.slice/sshd.service");
    is_none("/kubepods.slice/kubepods-pod1.slice/crio-ID.scope/container");
}

#[test]
fn a_container_is_a_subject_wherever_it_lies() {
    assert_subject(
        "/system.slice/k3s.service/kubepods/besteffort/pod1/ID",
        Containerd,
        SHORT,
    );
    let kind = "/system.slice/docker-ID2.scope/kubelet.slice/kubelet-kubepods.slice";
    assert_subject(
        &format!("{kind}/kubelet-kubepods-pod1.slice/cri-containerd-ID.scope"),
        Containerd,
        SHORT,
    );
    assert_subject("/docker/ID2/kubelet/kubepods/pod1/ID", Containerd, SHORT);
    assert_subject("/docker/ID2/docker/ID", Docker, SHORT);
}

#[test]
fn never_subjects() {
    for path in [
        "/",
        "",
        "/init.scope",
        "/system.slice",
        "/kubepods.slice/kubepods-burstable.slice",
        "/machine.slice/libpod-conmon-ID.scope",
        "/kubepods.slice/kubepods-pod1.slice/crio-conmon-ID.scope",
        "/user.slice/user-1000.slice/user@1000.service/init.scope",
        "/unknown/ID",
        "/system.slice/docker-0123.scopes",
    ] {
        is_none(path);
    }
}

#[test]
fn a_glob_names_subjects_and_its_topmost_match_counts() {
    let globs = ["/demo/*", "/deep/**"];
    assert_eq!(
        subject(&globs, "/demo/web"),
        Some((Cgroup, "web".to_owned()))
    );
    assert_eq!(subject(&globs, "/demo/web/inner"), None);
    assert_eq!(subject(&globs, "/demo"), None);
    assert_eq!(subject(&globs, "/deep/a"), Some((Cgroup, "a".to_owned())));
    assert_eq!(subject(&globs, "/deep/a/b"), None);
    assert_eq!(
        subject(
            &["/system.slice/x.service/job*"],
            "/system.slice/x.service/job1"
        ),
        Some((Cgroup, "job1".to_owned()))
    );
    assert_eq!(
        subject(&["/system.slice/**"], "/system.slice/docker-ID.scope/init"),
        None
    );
    assert_eq!(
        subject(&["/**"], "/machine.slice/libpod-conmon-ID.scope"),
        None
    );
}

#[test]
fn switched_off_kinds_are_subjects_only_by_a_glob() {
    let mut config = config(&["/system.slice/b.service"]);
    config.systemd = false;
    config.containers = false;
    let selectors = Selectors::compile(&config).unwrap();
    let subject = |path: &str| selectors.subject(CgroupId(1), path);
    assert_eq!(subject("/system.slice/a.service"), None);
    assert_eq!(subject(&format!("/docker/{ID}")), None);
    assert_eq!(
        subject("/system.slice/b.service").unwrap().kind,
        SystemdService
    );
}

#[test]
fn the_first_selector_that_matches_counts() {
    let mut config = config(&["/a/*", "/a/b"]);
    config.selectors[0].grace = Some(std::time::Duration::from_secs(1));
    let selectors = Selectors::compile(&config).unwrap();
    assert!(selectors.selector("/a/b").unwrap().grace.is_some());
    assert!(selectors.selector("/a/b/c").is_none());
}

#[test]
fn a_bad_glob_is_named_with_its_place() {
    let error = |glob: &str| Selectors::compile(&config(&["/ok/*", glob])).unwrap_err();
    assert_eq!(
        error("/a/[b").to_string(),
        "glob 2, `/a/[b`, is wrong at character 4: invalid range pattern; `*` stays inside one part of the path, `**` stands for whole parts"
    );
    assert!(matches!(
        error("/a/**b"),
        ConfigError::Glob { position: 6, .. }
    ));
    assert!(matches!(
        error("system.slice/*"),
        ConfigError::RelativeGlob { number: 2, .. }
    ));
    let mut empty = config(&["/a"]);
    empty.selectors[0].pre_stop = Some(Vec::new());
    assert!(matches!(
        Selectors::compile(&empty),
        Err(ConfigError::EmptyHook { number: 1, .. })
    ));
}

#[test]
fn there_are_no_more_globs_and_no_longer_ones_than_can_be_compared() {
    let compiled = |globs: &[&str]| Selectors::compile(&config(globs)).map(drop);
    assert_eq!(compiled(&["/a"; 1000]), Ok(()));
    assert_eq!(
        compiled(&["/a"; 1001]),
        Err(ConfigError::TooManyGlobs(1001))
    );
    let glob = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
    assert_eq!(compiled(&[&glob(4096)]), Ok(()));
    assert!(matches!(
        compiled(&["/a", &glob(4097)]),
        Err(ConfigError::LongGlob { number: 2, .. })
    ));
}

#[test]
fn where_subjects_are_made_is_told_by_the_path() {
    let config = config(&["/shop/*", "/*.batch"]);
    let selectors = Selectors::compile(&config).unwrap();
    let names = |path: &str| selectors.expected(path).map(|(names, _signal)| names);
    let slice = Some(vec![Names::Containers, Names::Units]);
    assert_eq!(names("/system.slice"), slice);
    let pod = "/kubepods/burstable/pod11111111-2222-3333-4444-555555555555";
    assert_eq!(names(pod), Some(vec![Names::Containers]));
    assert_eq!(names("/docker"), Some(vec![Names::Containers]));
    assert_eq!(names("/shop"), Some(vec![Names::Any]));
    assert_eq!(names("/shop/web"), None);
    assert_eq!(names("/elsewhere"), None);
}

#[test]
fn a_name_is_of_the_kind_of_its_siblings() {
    let docker = format!("docker-{}.scope", "a1".repeat(32));
    assert_eq!(Names::from_name(&docker), Names::Containers);
    assert_eq!(Names::from_name("cron.service"), Names::Units);
    assert_eq!(Names::from_name("web"), Names::Any);
}

fn outermost(globs: &[&str], path: &str) -> Option<String> {
    let selectors = Selectors::compile(&config(globs)).unwrap();
    let path = path.replace("ID2", ID2).replace("ID", ID);
    let found = selectors.outermost(&path);
    found.map(|found| found.replace(ID2, "ID2").replace(ID, "ID"))
}

fn lies_in(path: &str, container: &str) {
    assert_eq!(outermost(&[], path).as_deref(), Some(container), "{path}");
}

#[test]
fn all_below_a_container_lies_in_it_whatever_its_name() {
    let pod = "/kubepods.slice/kubepods-pod1.slice/cri-containerd-ID.scope";
    for below in [
        "",
        "/worker",
        "/docker-ID2.scope",
        "/docker/ID2/docker/ID",
        "/kubepods.slice/kubepods-pod2.slice/cri-containerd-ID2.scope",
        "/kubepods/burstable/pod2/ID2",
        "/system.slice/kubepods-pod2.slice:cri-containerd:ID2",
        "/system.slice/sshd.service",
        "/init.scope",
        "/libpod-conmon-ID2.scope",
    ] {
        lies_in(&format!("{pod}{below}"), pod);
    }
    // A node that is a container itself, of kind: all its pods are that container's.
    let pods = "kubelet.slice/kubelet-kubepods.slice";
    lies_in(
        &format!("/system.slice/docker-ID2.scope/{pods}/cri-containerd-ID.scope"),
        "/system.slice/docker-ID2.scope",
    );
    lies_in("/docker/ID2/kubelet/kubepods/pod1/ID", "/docker/ID2");
}

#[test]
fn a_unit_that_holds_containers_does_not_make_them_share() {
    for path in [
        "/system.slice/k3s.service/kubepods/besteffort/pod1/ID",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
        "/system.slice/web.service/libpod-payload-ID",
    ] {
        lies_in(path, path);
        lies_in(&format!("{path}/docker/ID2"), path);
    }
}

#[test]
fn without_a_container_it_is_the_topmost_subject() {
    lies_in(
        "/system.slice/web.service/worker",
        "/system.slice/web.service",
    );
    let manager = "/user.slice/user-1000.slice/user@1000.service";
    lies_in(&format!("{manager}/app.slice/web.service"), manager);
    let globs = ["/demo/*"];
    let found = |path: &str| outermost(&globs, path);
    assert_eq!(found("/demo/web/inner").as_deref(), Some("/demo/web"));
    assert_eq!(
        found("/demo/web/docker/ID").as_deref(),
        Some("/demo/web/docker/ID")
    );
    for none in ["", "/", "/demo", "/system.slice", "/init.scope"] {
        assert_eq!(found(none), None, "{none}");
    }
    let mut units = config(&[]);
    units.containers = false;
    let units = Selectors::compile(&units).unwrap();
    let inner = format!("/system.slice/web.service/docker-{ID}.scope");
    assert_eq!(units.outermost(&inner), Some("/system.slice/web.service"));
}

#[test]
fn without_the_configuration_the_names_tell() {
    let inner = format!("/docker/{ID2}/docker/{ID}");
    let outer = format!("/docker/{ID2}");
    assert_eq!(super::outermost_by_name(&inner), outer);
    assert_eq!(super::outermost_by_name("/demo/web"), "/demo/web");
}
