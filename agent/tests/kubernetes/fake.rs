//! A fake of the Kubernetes API server, on loopback: lists and watches with resource versions as the real one does, and
//! can be stopped, cut off, made slow, made to forget, and made to refuse.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

/// What the cluster holds, and how the server behaves. Outlives the server.
pub struct Cluster {
    inner: Mutex<Inner>,
    /// Its number rises with everything that watchers have to look at.
    stirred: watch::Sender<u64>,
}

struct Inner {
    version: u64,
    pods: Vec<Value>,
    events: Vec<Value>,
    endpointslices: Vec<Value>,
    history: Vec<Step>,
    /// Watches from a version below are told that it is gone.
    remembered_from: u64,
    /// Rises to end all watches.
    cuts: u64,
    token: String,
    delay: Duration,
    forbidden: Vec<&'static str>,
    /// Requests as `verb path`.
    requests: Vec<String>,
    written: Vec<Value>,
}

#[derive(Clone)]
struct Step {
    version: u64,
    resource: &'static str,
    kind: &'static str,
    object: Value,
}

impl Cluster {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                version: 100,
                pods: Vec::new(),
                events: Vec::new(),
                endpointslices: Vec::new(),
                history: Vec::new(),
                remembered_from: 0,
                cuts: 0,
                token: "first".to_owned(),
                delay: Duration::ZERO,
                forbidden: Vec::new(),
                requests: Vec::new(),
                written: Vec::new(),
            }),
            stirred: watch::Sender::new(0),
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.inner.lock().unwrap());
        self.stirred.send_modify(|number| *number += 1);
        result
    }

    /// Makes or changes an object.
    pub fn put_object(&self, resource: &'static str, object: Value) {
        self.change(|inner| inner.store_object(resource, object, false));
    }

    /// Deletes an object.
    pub fn delete(&self, resource: &'static str, object: Value) {
        self.change(|inner| inner.store_object(resource, object, true));
    }

    /// Ends all watches, as a proxy in the way may.
    pub fn cut_watches(&self) {
        self.change(|inner| inner.cuts += 1);
    }

    /// Forgets what happened so far, as after a compaction.
    pub fn forget(&self) {
        self.change(|inner| {
            // Others write, too.
            inner.version += 2;
            inner.remembered_from = inner.version;
        });
    }

    /// From now on this token alone is valid.
    pub fn set_token(&self, token: &str) {
        self.change(|inner| token.clone_into(&mut inner.token));
    }

    /// How long every answer takes from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.change(|inner| inner.delay = delay);
    }

    /// Forbids a resource.
    pub fn forbid(&self, resource: &'static str) {
        self.change(|inner| inner.forbidden.push(resource));
    }

    /// How often this was asked for, by the beginning of `verb path`.
    pub fn requests(&self, beginning: &str) -> usize {
        let inner = self.inner.lock().unwrap();
        inner
            .requests
            .iter()
            .filter(|request| request.starts_with(beginning))
            .count()
    }

    /// The Events that were written.
    pub fn written(&self) -> Vec<Value> {
        self.inner.lock().unwrap().written.clone()
    }
}

impl Inner {
    fn store_object(&mut self, resource: &'static str, mut object: Value, delete: bool) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let uid = object["metadata"]["uid"].clone();
        let objects = match resource {
            "pods" => &mut self.pods,
            "events" => &mut self.events,
            "endpointslices" => &mut self.endpointslices,
            _ => panic!("no {resource} here"),
        };
        let known = objects.iter().position(|one| one["metadata"]["uid"] == uid);
        let kind = match (known, delete) {
            (Some(place), true) => {
                objects.remove(place);
                "DELETED"
            }
            (Some(place), false) => {
                objects[place] = object.clone();
                "MODIFIED"
            }
            (None, _) => {
                objects.push(object.clone());
                "ADDED"
            }
        };
        self.history.push(Step {
            version: self.version,
            resource,
            kind,
            object,
        });
    }

    /// Whether the request is let through.
    fn check_request(
        &mut self,
        request: String,
        resource: &str,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        self.requests.push(request);
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        if token != Some(&format!("Bearer {}", self.token)) {
            return Err(Refusal(401, "Unauthorized", "Unauthorized".to_owned()));
        }
        if self.forbidden.contains(&resource) {
            let said = format!("{resource} is forbidden: cannot create resource \"{resource}\"");
            return Err(Refusal(403, "Forbidden", said));
        }
        Ok(())
    }
}

/// Why a request is not let through: code, reason, message.
struct Refusal(u16, &'static str, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        status(self.0, self.1, &self.2)
    }
}

fn status_object(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

fn status(code: u16, reason: &str, message: &str) -> Response {
    let code_word = StatusCode::from_u16(code).unwrap();
    (code_word, Json(status_object(code, reason, message))).into_response()
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the cluster here; port 0 takes any.
    pub fn start(cluster: &Arc<Cluster>, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let router = router(Arc::clone(cluster));
        // A runtime of its own: when it goes, every connection is cut in the middle.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _dropped = stopped => {}
                }
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Stops it as a power cut would; what it listened to can be listened to again.
    pub fn stop(mut self) -> SocketAddr {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
        self.address
    }
}

fn router(cluster: Arc<Cluster>) -> Router {
    Router::new()
        .route("/api/v1/{resource}", get(collection))
        .route("/apis/discovery.k8s.io/v1/{resource}", get(collection))
        .route(
            "/apis/{group}/v1/namespaces/{namespace}/{resource}/{name}",
            get(get_owner),
        )
        .route(
            "/apis/events.k8s.io/v1/namespaces/{namespace}/events",
            post(write),
        )
        .route(
            "/api/v1/nodes/{name}",
            get(|| async { status(404, "NotFound", "no such node") }),
        )
        .with_state(cluster)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    watch: Option<bool>,
    resource_version: Option<String>,
    field_selector: Option<String>,
}

async fn collection(
    State(cluster): State<Arc<Cluster>>,
    Path(resource): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let known = ["pods", "events", "endpointslices"];
    let Some(resource) = known.into_iter().find(|known| *known == resource) else {
        return status(404, "NotFound", "no such resource");
    };
    let delay = cluster.inner.lock().unwrap().delay;
    tokio::time::sleep(delay).await;
    let watch = wanted.watch == Some(true);
    let verb = if watch { "watch" } else { "list" };
    let selector = wanted.field_selector.unwrap_or_default();
    let mut inner = cluster.inner.lock().unwrap();
    if let Err(refused) =
        inner.check_request(format!("{verb} {resource} {selector}"), resource, &headers)
    {
        return refused.into_response();
    }
    if watch {
        let from = wanted.resource_version.unwrap().parse().unwrap();
        let cuts = inner.cuts;
        drop(inner);
        return follow(cluster, resource, from, cuts);
    }
    let (kind, items) = match resource {
        "pods" => ("PodList", &inner.pods),
        "events" => ("EventList", &inner.events),
        _ => ("EndpointSliceList", &inner.endpointslices),
    };
    Json(json!({
        "kind": kind,
        "apiVersion": "v1",
        "metadata": {"resourceVersion": inner.version.to_string()},
        "items": items,
    }))
    .into_response()
}

/// One line for each step after this version, until the watches are cut.
fn follow(cluster: Arc<Cluster>, resource: &'static str, from: u64, cuts: u64) -> Response {
    let stirred = cluster.stirred.subscribe();
    let lines = stream::unfold(
        (cluster, stirred, from),
        move |(cluster, mut stirred, mut from)| async move {
            loop {
                let lines = {
                    let inner = cluster.inner.lock().unwrap();
                    if inner.cuts != cuts {
                        return None;
                    }
                    if from + 1 < inner.remembered_from {
                        let gone = status_object(410, "Expired", "too old resource version");
                        let line = format!("{}\n", json!({"type": "ERROR", "object": gone}));
                        drop(inner);
                        return Some((
                            Ok::<_, std::io::Error>(line),
                            (cluster, stirred, u64::MAX - 1),
                        ));
                    }
                    let steps = inner
                        .history
                        .iter()
                        .filter(|step| step.version > from && step.resource == resource);
                    let mut lines = String::new();
                    for step in steps {
                        let line = json!({"type": step.kind, "object": step.object});
                        lines.push_str(&line.to_string());
                        lines.push('\n');
                    }
                    lines
                };
                from = from.max(cluster.inner.lock().unwrap().version);
                if !lines.is_empty() {
                    return Some((Ok(lines), (cluster, stirred, from)));
                }
                stirred.changed().await.ok()?;
            }
        },
    );
    Body::from_stream(lines).into_response()
}

async fn get_owner(
    State(cluster): State<Arc<Cluster>>,
    Path((_group, namespace, resource, name)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut inner = cluster.inner.lock().unwrap();
    if let Err(refused) = inner.check_request(format!("get {resource} {name}"), &resource, &headers)
    {
        return refused.into_response();
    }
    Json(json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": format!("uid-of-{name}"),
            "ownerReferences": [{
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": "shop",
                "uid": "uid-of-shop",
                "controller": true,
            }],
        },
    }))
    .into_response()
}

async fn write(
    State(cluster): State<Arc<Cluster>>,
    headers: HeaderMap,
    Json(event): Json<Value>,
) -> Response {
    let mut inner = cluster.inner.lock().unwrap();
    if let Err(refused) = inner.check_request("create events".to_owned(), "events", &headers) {
        return refused.into_response();
    }
    inner.written.push(event.clone());
    (StatusCode::CREATED, Json(event)).into_response()
}
