//! Verdicts over the Kubernetes API: whether it answers, and whether it allows what the agent asks of it. Without any of
//! it the agent measures, so none of them fails.

use super::verdict::{Check, Verdict, passed, with_remedy};
use crate::kubernetes::{Answer, Survey};

/// Every check of the API; one line where it is not asked.
pub(super) fn check_api(survey: Option<&Survey>) -> Vec<Check> {
    let Some(survey) = survey else {
        let found = "not asked: this is no pod, and no kubeconfig is named (local mode)";
        return vec![passed("Kubernetes", found.to_owned())];
    };
    let version = match &survey.version {
        Ok(version) => version,
        Err(said) => {
            return vec![warning(
                "Kubernetes",
                format!("does not answer by {}: {said}", survey.origin),
                "check address and network; the agent measures meanwhile, without pods",
            )];
        }
    };
    let found = format!("{version}, reached by {}", survey.origin);
    let mut checks = vec![passed("Kubernetes", found)];
    let refused = check_user(survey, &mut checks);
    if !refused {
        checks.extend([
            check_pods(survey),
            check_node(survey),
            check_right(
                "owners",
                &survey.get_owners,
                "ReplicaSets and Jobs can be got",
                "no get on replicasets.apps and jobs.batch: Deployments are told by labels, CronJobs not at all",
                "name-workloads",
            ),
            check_right(
                "kubelet says",
                &survey.watch_events,
                "the kubelet's Events can be watched",
                "no list and watch on events: why a container is stopped is often unknown",
                "watch-events",
            ),
            check_right(
                "endpoints",
                &survey.watch_slices,
                "EndpointSlices can be watched",
                "no list and watch on endpointslices.discovery.k8s.io: whether connections came because the endpoints were late is not told",
                "watch-endpoint-slices",
            ),
            check_right(
                "Events",
                &survey.write_events,
                "Events on pods can be written",
                "no create and patch on events.events.k8s.io: `kubectl describe pod` shows no findings",
                "report-events",
            ),
        ]);
    }
    checks
}

fn warning(name: &'static str, found: String, remedy: impl Into<String>) -> Check {
    with_remedy(name, Verdict::Warn, found, remedy)
}

/// Who the agent is to the API server; whether it is nobody.
fn check_user(survey: &Survey, checks: &mut Vec<Check>) -> bool {
    match &survey.user {
        Answer::Yes(user) => {
            checks.push(passed("API user", user.clone()));
            false
        }
        Answer::Unauthorized(said) => {
            checks.push(warning(
                "API user",
                format!("the credentials are refused: {said}"),
                format!("give valid ones in {}", survey.origin),
            ));
            true
        }
        // A server before 1.28 does not know the question; the others are asked all the same.
        Answer::Forbidden(_) | Answer::Failed(_) => false,
    }
}

fn check_pods(survey: &Survey) -> Check {
    let forbidden = || {
        warning(
            "pods",
            "no list and watch on pods: containers cannot be told whose they are".to_owned(),
            "grant it as deploy/kustomize/base does",
        )
    };
    match (&survey.pods, &survey.watch_pods) {
        (Answer::Yes(pods), Answer::Yes(true)) => passed(
            "pods",
            format!("{pods} on this node, and they can be watched"),
        ),
        (Answer::Forbidden(_) | Answer::Unauthorized(_), _) | (_, Answer::Yes(false)) => {
            forbidden()
        }
        (Answer::Failed(said), _) => warning("pods", format!("cannot be listed: {said}"), ""),
        (Answer::Yes(pods), _) => passed("pods", format!("{pods} on this node")),
    }
}

fn check_node(survey: &Survey) -> Check {
    let node = &survey.node;
    match (&survey.node_exists, &survey.pods) {
        (Answer::Yes(true), _) => passed("node", node.clone()),
        (_, Answer::Yes(pods)) if *pods > 0 => passed("node", format!("{node}, by its pods")),
        (Answer::Yes(false), _) => warning(
            "node",
            format!("the cluster has no node named {node}"),
            "give this machine's name in `kubectl get nodes` by --node-name; in a pod set GRACEWATCH_NODE_NAME from spec.nodeName",
        ),
        (Answer::Unauthorized(_) | Answer::Forbidden(_) | Answer::Failed(_), _) => warning(
            "node",
            format!("no pod runs on {node}, and whether there is such a node cannot be asked"),
            "compare it with `kubectl get nodes`; another name is given by --node-name",
        ),
    }
}

/// A right that is of use, and can be missing.
fn check_right(
    name: &'static str,
    answer: &Answer<bool>,
    fine: &str,
    lacking: &str,
    component: &str,
) -> Check {
    match answer {
        Answer::Yes(true) => passed(name, fine.to_owned()),
        Answer::Yes(false) => warning(
            name,
            lacking.to_owned(),
            format!("grant it as deploy/kustomize/components/{component} does, if it is wanted"),
        ),
        Answer::Unauthorized(said) | Answer::Forbidden(said) | Answer::Failed(said) => {
            warning(name, format!("cannot be asked: {said}"), "")
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes them so"
)]
mod tests {
    use expect_test::expect;

    use super::super::show;
    use super::*;
    use crate::terminal::Style;

    fn allowed() -> Survey {
        Survey {
            origin: "the pod's service account".to_owned(),
            node: "node-1".to_owned(),
            version: Ok("v1.37.2".to_owned()),
            user: Answer::Yes("system:serviceaccount:gracewatch:gracewatch".to_owned()),
            pods: Answer::Yes(12),
            node_exists: Answer::Forbidden("no".to_owned()),
            watch_pods: Answer::Yes(true),
            watch_events: Answer::Yes(true),
            watch_slices: Answer::Yes(true),
            write_events: Answer::Yes(true),
            get_owners: Answer::Yes(true),
        }
    }

    fn rendered_text(survey: Option<&Survey>) -> String {
        let text = show::render_text(&check_api(survey), &Style::PLAIN);
        let (checks, _conclusion) = text.split_once("\n\n").unwrap();
        format!("{checks}\n")
    }

    #[test]
    fn everything_is_allowed() {
        expect![[r#"
            ok    Kubernetes     v1.37.2, reached by the pod's service account
            ok    API user       system:serviceaccount:gracewatch:gracewatch
            ok    pods           12 on this node, and they can be watched
            ok    node           node-1, by its pods
            ok    owners         ReplicaSets and Jobs can be got
            ok    kubelet says   the kubelet's Events can be watched
            ok    endpoints      EndpointSlices can be watched
            ok    Events         Events on pods can be written
        "#]]
        .assert_eq(&rendered_text(Some(&allowed())));
    }

    #[test]
    fn local_mode() {
        expect![[r#"
            ok    Kubernetes     not asked: this is no pod, and no kubeconfig is named
                                 (local mode)
        "#]]
        .assert_eq(&rendered_text(None));
    }

    #[test]
    fn only_the_base_and_a_wrong_name() {
        let survey = Survey {
            pods: Answer::Yes(0),
            node_exists: Answer::Yes(false),
            watch_events: Answer::Yes(false),
            watch_slices: Answer::Yes(false),
            write_events: Answer::Yes(false),
            get_owners: Answer::Yes(false),
            ..allowed()
        };
        expect![[r#"
            ok    Kubernetes     v1.37.2, reached by the pod's service account
            ok    API user       system:serviceaccount:gracewatch:gracewatch
            ok    pods           0 on this node, and they can be watched
            warn  node           the cluster has no node named node-1
                               → give this machine's name in `kubectl get nodes` by
                                 --node-name; in a pod set GRACEWATCH_NODE_NAME from
                                 spec.nodeName
            warn  owners         no get on replicasets.apps and jobs.batch: Deployments are
                                 told by labels, CronJobs not at all
                               → grant it as deploy/kustomize/components/name-workloads
                                 does, if it is wanted
            warn  kubelet says   no list and watch on events: why a container is stopped is
                                 often unknown
                               → grant it as deploy/kustomize/components/watch-events does,
                                 if it is wanted
            warn  endpoints      no list and watch on endpointslices.discovery.k8s.io:
                                 whether connections came because the endpoints were late is
                                 not told
                               → grant it as
                                 deploy/kustomize/components/watch-endpoint-slices does, if
                                 it is wanted
            warn  Events         no create and patch on events.events.k8s.io: `kubectl
                                 describe pod` shows no findings
                               → grant it as deploy/kustomize/components/report-events does,
                                 if it is wanted
        "#]]
        .assert_eq(&rendered_text(Some(&survey)));
    }

    #[test]
    fn down_refused_and_forbidden() {
        let down = Survey {
            version: Err("connection refused".to_owned()),
            ..allowed()
        };
        let refused = Survey {
            user: Answer::Unauthorized("Unauthorized".to_owned()),
            ..allowed()
        };
        let forbidden = Survey {
            pods: Answer::Forbidden("pods is forbidden".to_owned()),
            ..allowed()
        };
        let all = [down, refused, forbidden].map(|survey| rendered_text(Some(&survey)));
        expect![[r#"
            warn  Kubernetes     does not answer by the pod's service account: connection
                                 refused
                               → check address and network; the agent measures meanwhile,
                                 without pods

            ok    Kubernetes     v1.37.2, reached by the pod's service account
            warn  API user       the credentials are refused: Unauthorized
                               → give valid ones in the pod's service account

            ok    Kubernetes     v1.37.2, reached by the pod's service account
            ok    API user       system:serviceaccount:gracewatch:gracewatch
            warn  pods           no list and watch on pods: containers cannot be told whose
                                 they are
                               → grant it as deploy/kustomize/base does
            warn  node           no pod runs on node-1, and whether there is such a node
                                 cannot be asked
                               → compare it with `kubectl get nodes`; another name is given
                                 by --node-name
            ok    owners         ReplicaSets and Jobs can be got
            ok    kubelet says   the kubelet's Events can be watched
            ok    endpoints      EndpointSlices can be watched
            ok    Events         Events on pods can be written
        "#]]
        .assert_eq(&all.join("\n"));
    }
}
