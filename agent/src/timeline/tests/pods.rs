//! Containers of pods: names, triggers, T0 by deletion, hooks of every kind.

use agent_core::pod::Role;
use agent_core::report::{HookFailure, HookKind, HookMethod, Start, Trigger};

use super::*;

fn wide_style(width: usize) -> Style {
    Style {
        width,
        ..Style::PLAIN
    }
}

#[test]
fn an_exec_hook_after_a_deletion() {
    check_picture(
        &sample::of_pod(sample::seed_report()),
        expect![[r#"
        #3  shop/web-7d4b9c6f5-x2x9k/app  Deployment                ✔ GRACEFUL  12.531 s
               0 s  pod deleted   █▍                                     500 ms waiting
            500 ms  preStop hook   █████████████████████████████▏      10.008 s hook
          10.509 s  SIGTERM                                     █████▉  2.021 s stopping
          12.531 s  exit 0                                           ▏  3.12 ms closing
          12.534 s  released
          Exited by itself with status 0, 2.021 s after SIGTERM; 20 s of its 30 s grace
          were left for that.
          pod       shop/web-7d4b9c6f5-x2x9k · container app · Deployment web
          why       the pod was deleted
          main      sleep 10m · pid 4711, PID 1 of its namespace
          hook      /bin/sh -c 'echo this pod is stopping. > /stop.log && sleep 10s' ·
                    pid 4800, exit 0
          SIGTERM   from runc (pid 4790, child of containerd-shim) · it has a handler
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn names_as_long_as_they_may_be() {
    let report = sample::of_long_names(sample::ignored());
    let mut drawn = String::new();
    for width in [80, 100, 120] {
        let picture = render(&report, &wide_style(width));
        for line in picture.lines().take(3) {
            assert!(
                text::display_width(line) <= width,
                "wider than {width}: {line}"
            );
            drawn.push_str(line);
            drawn.push('\n');
        }
    }
    drawn.push_str(&report_facts(&report)[2].text);
    expect![[r#"
        #3  cust…eam/checkout-…7c-q8xzt/isti…too  Deployment  ✘ SIGNAL IGNORED  30.505 s
               0 s  pod deleted       ▌                                  500 ms waiting
            500 ms  SIGTERM ignored   ███████████████████████████████▉ 30.004 s stopping
        #3  custom…t-team/checkout-servi…6b94d7c-q8xzt/istio-…me-too  Deployment  ✘ SIGNAL IGNORED  30.505 s
               0 s  pod deleted       ▊                                                      500 ms waiting
            500 ms  SIGTERM ignored   ███████████████████████████████████████████████████▉ 30.004 s stopping
        #3  customer-…ent-team/checkout-service-wi…e-85f6b94d7c-q8xzt/istio-pro…name-too  Deployment  ✘ SIGNAL IGNORED  30.505 s
               0 s  pod deleted       █▏                                                                         500 ms waiting
            500 ms  SIGTERM ignored    ██████████████████████████████████████████████████████████████████████▉ 30.004 s stopping
        customer-0815-production-europe-west3-checkout-and-payment-team/checkout-service-with-a-descriptive-name-85f6b94d7c-q8xzt · sidecar istio-proxy-with-a-long-name-too · Deployment checkout-service-with-a-descriptive-name"#]].assert_eq(&drawn);
}

#[test]
fn open_terminations_of_pods() {
    let open = |report: Report| Report {
        outcome: Outcome::InProgress,
        exit: None,
        released_at: None,
        ..report
    };
    let stopping = open(sample::of_pod(sample::seed_report()));
    let long = open(sample::of_long_names(sample::seed_report()));
    let asked = Report {
        hook: None,
        stop_signal: None,
        ..stopping.clone()
    };
    let mut pausing = stopping.clone();
    pausing.stop_signal = None;
    pausing.hook = Some(sample::inferred(
        HookKind::Sleep,
        &["sleep", "5s"],
        5_000_000,
    ));
    if let Some(hook) = &mut pausing.hook {
        hook.ended_at = None;
    }
    let mut drawn = String::new();
    for width in [80, 100, 120] {
        for (report, now) in [
            (&asked, 300_000),
            (&pausing, 2_000_000),
            (&stopping, 17_000_000),
            (&long, 31_900_000),
        ] {
            let line = render_open(report, at_micros(now), &wide_style(width));
            assert!(
                text::display_width(&line) <= width,
                "wider than {width}: {line}"
            );
            drawn.push_str(line.trim_start());
            drawn.push('\n');
        }
    }
    expect![[r#"
        #3  shop/web-7d4…5-x2x9k/app ░░░░░░░░░░░░   0.8 s  waiting for stop signal
        #3  shop/web-7d4…5-x2x9k/app ░░▒▒▒▒▒▒▒▒▒▒   2.5 s  preStop sleep is running
        #3  shop/web-7d4…5-x2x9k/app ▒▒▒▒▒▒▒█████  17.5 s  SIGTERM, SIGKILL in 13.0 s
        #3  cu…am/checko…q8xzt/is…oo ▒▒▒▒████████  32.4 s  SIGKILL due 1.8 s ago
        #3  shop/web-7d4b9c6f5-x2x9k/app           ░░░░░░░░░░░░░░░░░░   0.8 s  waiting for stop signal
        #3  shop/web-7d4b9c6f5-x2x9k/app           ░░░░▒▒▒▒▒▒▒▒▒▒▒▒▒▒   2.5 s  preStop sleep is running
        #3  shop/web-7d4b9c6f5-x2x9k/app           ░▒▒▒▒▒▒▒▒▒▒███████  17.5 s  SIGTERM, SIGKILL in 13.0 s
        #3  cust…team/checkout-…7c-q8xzt/isti…-too ▒▒▒▒▒▒████████████  32.4 s  SIGKILL due 1.8 s ago
        #3  shop/web-7d4b9c6f5-x2x9k/app                               ░░░░░░░░░░░░░░░░░░   0.8 s  waiting for stop signal
        #3  shop/web-7d4b9c6f5-x2x9k/app                               ░░░░▒▒▒▒▒▒▒▒▒▒▒▒▒▒   2.5 s  preStop sleep is running
        #3  shop/web-7d4b9c6f5-x2x9k/app                               ░▒▒▒▒▒▒▒▒▒▒███████  17.5 s  SIGTERM, SIGKILL in 13.0 s
        #3  custome…t-team/checkout-servi…6b94d7c-q8xzt/istio-p…me-too ▒▒▒▒▒▒████████████  32.4 s  SIGKILL due 1.8 s ago
    "#]].assert_eq(&drawn);
}

/// Drained by a hook of the kubelet's for five seconds.
fn drained(kind: HookKind, words: &[&str]) -> Report {
    let mut report = sample::of_pod(sample::report(Outcome::Graceful));
    report.started_at = at_micros(0);
    report.hook = Some(sample::inferred(kind, words, 5_004_000));
    report.stop_signal = Some(sample::stop(
        5_004_000,
        Delivery::Delivered,
        Handler::Custom,
    ));
    report.exit = Some(sample::sample_exit(5_200_000, ExitStatus::Code(0)));
    report.released_at = Some(at_micros(5_240_000));
    report.grace = Some(sample::sample_grace(30, 25, false));
    report
}

#[test]
fn a_pause_is_inferred() {
    check_picture(
        &drained(HookKind::Sleep, &["sleep", "5s"]),
        expect![[r#"
        #3  shop/web-7d4b9c6f5-x2x9k/app  Deployment                 ✔ GRACEFUL  5.200 s
               0 s  pod deleted
               0 s  preStop sleep  █████████████████████████████████▍  ≈5.004 s hook
           5.004 s  SIGTERM                                         █▋   196 ms stopping
           5.200 s  exit 0                                           ▍  40.0 ms closing
           5.240 s  released
          Exited by itself with status 0, 196 ms after SIGTERM; 25 s of its 30 s grace
          were left for that.
          pod       shop/web-7d4b9c6f5-x2x9k · container app · Deployment web
          why       the pod was deleted
          main      sleep 10m · pid 4711, PID 1 of its namespace
          hook      sleep 5s · ≈ inferred
          SIGTERM   from runc (pid 4790, child of containerd-shim) · it has a handler
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn a_request_that_the_kubelet_calls_failed() {
    let mut report = drained(HookKind::HttpGet, &["httpGet", "http://:8080/quit"]);
    report.started_at = Timestamp(at_micros(0).0 - 800_000_000);
    if let Some(hook) = &mut report.hook {
        hook.failure = Some(HookFailure::Reported);
    }
    check_picture(
        &report,
        expect![[r#"
        #3  shop/web-7d4b9c6f5-x2x9k/app  Deployment                 ✔ GRACEFUL  6.000 s
               0 s  pod deleted  ████▉                                   800 ms waiting
            800 ms  hook failed      ███████████████████████████████▌  ≈5.004 s hook
           5.804 s  SIGTERM                                         █▊   196 ms stopping
           6.000 s  exit 0                                           ▎  40.0 ms closing
           6.040 s  released
          Exited by itself with status 0, 196 ms after SIGTERM; 25 s of its 30 s grace
          were left for that.
          pod       shop/web-7d4b9c6f5-x2x9k · container app · Deployment web
          why       the pod was deleted
          main      sleep 10m · pid 4711, PID 1 of its namespace
          hook      httpGet http://:8080/quit · the kubelet says it failed, ≈ inferred
          SIGTERM   from runc (pid 4790, child of containerd-shim) · it has a handler
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn a_socket_is_never_tried() {
    let mut report = drained(HookKind::TcpSocket, &["tcpSocket"]);
    if let Some(hook) = &mut report.hook {
        (hook.started_at, hook.ended_at) = (None, None);
        hook.failure = Some(HookFailure::Unsupported);
    }
    check_picture(
        &report,
        expect![[r#"
            #3  shop/web-7d4b9c6f5-x2x9k/app  Deployment                 ✔ GRACEFUL  5.200 s
                   0 s  pod deleted
                   0 s  hook not run  ██████████████████████████████████▍   5.004 s waiting
               5.004 s  SIGTERM                                         █▋   196 ms stopping
               5.200 s  exit 0                                           ▍  40.0 ms closing
               5.240 s  released
              Exited by itself with status 0, 196 ms after SIGTERM; 25 s of its 30 s grace
              were left for that.
              pod       shop/web-7d4b9c6f5-x2x9k · container app · Deployment web
              why       the pod was deleted
              main      sleep 10m · pid 4711, PID 1 of its namespace
              hook      tcpSocket · the kubelet runs no such hook
              SIGTERM   from runc (pid 4790, child of containerd-shim) · it has a handler
              cgroup    /system.slice/docker-3f9c.scope
        "#]],
    );
}

#[test]
fn a_missing_program_of_a_sidecar_killed_by_its_liveness_probe() {
    let mut report = sample::of_pod(sample::ignored());
    report.trigger = Trigger::Liveness;
    report.start_source = Start::Killing;
    if let Some(pod) = &mut report.pod {
        (pod.container, pod.role) = (Some("proxy".to_owned()), Some(Role::Sidecar));
    }
    let mut hook = sample::sample_hook(&["/bin/nosuch"], None, None);
    (hook.started_at, hook.tgid) = (None, None);
    hook.method = HookMethod::Observed;
    hook.failure = Some(HookFailure::Missing);
    report.hook = Some(hook);
    check_picture(
        &report,
        expect![[r#"
            #3  shop/web-7d4b9c6f5-x2x9k/proxy  Deployment        ✘ SIGNAL IGNORED  30.505 s
                   0 s  liveness failed
                   0 s  hook missing      ▌                                  500 ms waiting
                500 ms  SIGTERM ignored   ███████████████████████████████▉ 30.004 s stopping
              30.504 s  SIGKILL                                          ▏   900 µs dying
              30.505 s  ended by SIGKILL                                 ▏  1.00 ms closing
              30.506 s  released
              Ignored SIGTERM: the kernel threw it away, the process never saw it. SIGKILL
              came 30.004 s later, when its 30 s grace was over.
              finding   The kernel discarded SIGTERM: the main process is PID 1 of its
                        namespace and has no handler for it.
              advice    Install a handler for SIGTERM, or start the program through tini or
                        `docker run --init`.
              pod       shop/web-7d4b9c6f5-x2x9k · sidecar proxy · Deployment web
              why       its liveness probe failed
              main      sleep 10m · pid 4711, PID 1 of its namespace
              hook      /bin/nosuch · it could not be executed
              SIGTERM   from runc (pid 4790, child of containerd-shim) · thrown away by the
                        kernel
              SIGKILL   from runc (pid 4790, child of containerd-shim) · the grace period
                        was over
              cgroup    /system.slice/docker-3f9c.scope
        "#]],
    );
}

#[test]
fn a_pod_that_nobody_knows() {
    let mut report = sample::of_pod(sample::ignored());
    report.pod = None;
    report.trigger = Trigger::Unknown;
    report.start_source = Start::StopSignal;
    report.started_at = at_micros(0);
    report.doubts = vec![Doubt::PodUnknown];
    check_picture(
        &report,
        expect![[r#"
            #3  3f9c2a1b7d04  containerd container  ✘ SIGNAL IGNORED (not certain)  30.005 s
                   0 s  SIGTERM ignored   ███████████████████████████████▉ 30.004 s stopping
              30.004 s  SIGKILL                                          ▏   900 µs dying
              30.005 s  ended by SIGKILL                                 ▏  1.00 ms closing
              30.006 s  released
              Ignored SIGTERM: the kernel threw it away, the process never saw it. SIGKILL
              came 30.004 s later, when its 30 s grace was over.
              finding   The kernel discarded SIGTERM: the main process is PID 1 of its
                        namespace and has no handler for it.
              advice    Install a handler for SIGTERM, or start the program through tini or
                        `docker run --init`.
              doubt     That it is a container of a pod did not become known in time from
                        the pod's status: its hook, grace period and names may be missing.
              pod       not known, with the UID 0a1b2c3d-0000-4000-8000-000000000001
              main      sleep 10m · pid 4711, PID 1 of its namespace
              SIGTERM   from runc (pid 4790, child of containerd-shim) · thrown away by the
                        kernel
              SIGKILL   from runc (pid 4790, child of containerd-shim) · the grace period
                        was over
              cgroup    /system.slice/docker-3f9c.scope
        "#]],
    );
}
