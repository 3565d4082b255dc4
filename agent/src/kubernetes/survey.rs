//! What the API says to this agent: whether it answers, and what it allows. Facts for `gracewatch check`; nothing is
//! judged here.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1 as api;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};

use super::access::Access;
use super::failure::{Failure, Reason};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug)]
pub struct Survey {
    /// Where the credentials come from.
    pub origin: String,
    /// The node's name, as the agent would use it.
    pub node: String,
    /// The version that the API server is of, or why it could not be asked.
    pub version: Result<String, String>,
    /// Who the API server takes the agent for.
    pub user: Answer<String>,
    /// How many pods the node has, as far as one page tells.
    pub pods: Answer<usize>,
    /// Whether there is a Node of this name.
    pub node_exists: Answer<bool>,
    /// Whether pods can be watched.
    pub watch_pods: Answer<bool>,
    /// Whether Events can be listed and watched.
    pub watch_events: Answer<bool>,
    /// Whether EndpointSlices can be listed and watched.
    pub watch_slices: Answer<bool>,
    /// Whether Events can be written.
    pub write_events: Answer<bool>,
    /// Whether ReplicaSets and Jobs can be got.
    pub get_owners: Answer<bool>,
}

/// The API server's answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// It answered.
    Yes(T),
    /// It does not know the agent.
    Unauthorized(String),
    /// It does not allow the question.
    Forbidden(String),
    /// Anything else that went wrong.
    Failed(String),
}

/// Asks; never fails as a whole.
pub async fn survey(access: &Access) -> Survey {
    let mut survey = Survey {
        origin: access.origin.name(),
        node: access.node.clone(),
        version: Err("was not asked".to_owned()),
        user: unasked(),
        pods: unasked(),
        node_exists: unasked(),
        watch_pods: unasked(),
        watch_events: unasked(),
        watch_slices: unasked(),
        write_events: unasked(),
        get_owners: unasked(),
    };
    let client = match access.client().await {
        Ok(client) => client,
        Err(error) => {
            survey.version = Err(format!("{error:#}"));
            return survey;
        }
    };
    survey.version = match answer(client.apiserver_version()).await {
        Answer::Yes(info) => Ok(info.git_version),
        // The version may be kept from strangers; the server is there all the same.
        Answer::Unauthorized(_) | Answer::Forbidden(_) => Ok("unknown version".to_owned()),
        Answer::Failed(said) => Err(said),
    };
    if survey.version.is_err() {
        return survey;
    }
    survey.user = get_user(&client).await;
    survey.pods = count_pods(&client, &access.node).await;
    let nodes = Api::<api::Node>::all(client.clone());
    survey.node_exists = answer(async {
        let node = nodes.get_metadata_opt(&access.node).await?;
        Ok(node.is_some())
    })
    .await;
    survey.watch_pods =
        review_access(&client, &[("", "pods", "list"), ("", "pods", "watch")]).await;
    survey.watch_events =
        review_access(&client, &[("", "events", "list"), ("", "events", "watch")]).await;
    let group = "discovery.k8s.io";
    survey.watch_slices = review_access(
        &client,
        &[
            (group, "endpointslices", "list"),
            (group, "endpointslices", "watch"),
        ],
    )
    .await;
    survey.write_events = review_access(
        &client,
        &[
            ("events.k8s.io", "events", "create"),
            ("events.k8s.io", "events", "patch"),
        ],
    )
    .await;
    survey.get_owners = review_access(
        &client,
        &[("apps", "replicasets", "get"), ("batch", "jobs", "get")],
    )
    .await;
    survey
}

const fn unasked<T>() -> Answer<T> {
    Answer::Failed(String::new())
}

async fn get_user(client: &Client) -> Answer<String> {
    let reviews = Api::<SelfSubjectReview>::all(client.clone());
    answer(async {
        let review = reviews
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await?;
        let user = review.status.and_then(|status| status.user_info);
        Ok(user.and_then(|user| user.username).unwrap_or_default())
    })
    .await
}

async fn count_pods(client: &Client, node: &str) -> Answer<usize> {
    let pods = Api::<api::Pod>::all(client.clone());
    let params = ListParams::default()
        .fields(&format!("spec.nodeName={node}"))
        .limit(500);
    answer(async { Ok(pods.list_metadata(&params).await?.items.len()) }).await
}

/// Whether all of these (group, resource, verb) are allowed in all namespaces.
async fn review_access(client: &Client, wanted: &[(&str, &str, &str)]) -> Answer<bool> {
    let reviews = Api::<SelfSubjectAccessReview>::all(client.clone());
    for (group, resource, verb) in wanted {
        let text = |text: &str| Some(text.to_owned());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: text(group),
                    resource: text(resource),
                    verb: text(verb),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let allowed = answer(async {
            let review = reviews.create(&PostParams::default(), &review).await?;
            Ok(review.status.is_some_and(|status| status.allowed))
        })
        .await;
        if allowed != Answer::Yes(true) {
            return allowed;
        }
    }
    Answer::Yes(true)
}

async fn answer<T>(request: impl Future<Output = kube::Result<T>>) -> Answer<T> {
    let failure = match tokio::time::timeout(PATIENCE, request).await {
        Ok(Ok(answer)) => return Answer::Yes(answer),
        Ok(Err(error)) => Failure::from(&error),
        Err(_elapsed) => return Answer::Failed("no answer in 10 s".to_owned()),
    };
    match failure.reason {
        Reason::Unauthorized => Answer::Unauthorized(failure.said),
        Reason::Forbidden => Answer::Forbidden(failure.said),
        Reason::NotFound
        | Reason::Gone
        | Reason::TooManyRequests
        | Reason::Server
        | Reason::Refused
        | Reason::Unreachable
        | Reason::Malformed => Answer::Failed(failure.said),
    }
}
