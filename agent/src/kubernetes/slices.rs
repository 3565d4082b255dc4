//! The watch of the cluster's EndpointSlices, as kube-proxy has it: when a pod of this node is taken out of the traffic,
//! as seen from here.

use k8s_openapi::api::discovery::v1 as api;
use kube::runtime::watcher::Event;

use super::access::Access;
use super::endpoints::Endpoints;
use super::facts::ApiUpdates;
use super::follow::{Followed, follow};
use crate::clock;

/// Slices of a page of the list: one may have a thousand endpoints, of which most are dropped at once.
const PAGE: u32 = 50;

/// Watches; never ends.
pub(super) async fn watch_endpoint_slices(access: &Access, facts: &ApiUpdates) {
    let followed = Followed {
        resource: "endpointslices",
        // Neither the node nor the pod of an endpoint can be selected by.
        fields: None,
        page: PAGE,
    };
    let mut endpoints = Endpoints::new(access.node.clone());
    follow(
        access,
        &followed,
        facts,
        async |event: Event<api::EndpointSlice>| {
            for input in endpoints.apply_watch_event(event, clock::now()) {
                facts.send_input(input).await;
            }
        },
    )
    .await;
}
