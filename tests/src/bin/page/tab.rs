//! A tab of the browser that notes whatever must never happen on a page of ours: a request to elsewhere, an error, a warning, a
//! breach of the content security policy.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gracewatch_tests::claim;
use gracewatch_tests::harness::{OrWrong as _, WrongVerdict};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::protocol::{Event, Protocol};

/// How long anything on the page may take.
const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

pub(crate) struct Tab {
    protocol: Protocol,
    /// Where all requests have to go.
    origin: String,
    loaded: bool,
    requests: usize,
    problems: Vec<String>,
    /// What a problem may contain without being one.
    expected: Vec<&'static str>,
}

/// A key of the keyboard.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    Tab,
    Enter,
}

impl Tab {
    /// Opens an empty one, in a profile of its own. All requests have to go to `origin`.
    pub(crate) fn open_tab(browser: &Browser, origin: &str) -> Result<Self> {
        let mut protocol = Protocol::connect(browser.address, &browser.url)?;
        let context = protocol.call_command(
            "Target.createBrowserContext",
            json!({ "disposeOnDetach": true }),
        )?;
        let target = protocol.call_command(
            "Target.createTarget",
            json!({ "url": "about:blank", "browserContextId": context["browserContextId"] }),
        )?;
        let attached = protocol.call_command(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        )?;
        let session = attached["sessionId"].as_str().context("no session")?;
        protocol.set_session(session.to_owned());
        let mut tab = Self {
            protocol,
            origin: origin.to_owned(),
            loaded: false,
            requests: 0,
            problems: Vec::new(),
            expected: Vec::new(),
        };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            tab.call_command(&format!("{domain}.enable"), json!({}))?;
        }
        // As if its window were the one in front: else a link within the page moves no focus.
        tab.call_command(
            "Emulation.setFocusEmulationEnabled",
            json!({ "enabled": true }),
        )?;
        tab.set_size(1280, 900)?;
        Ok(tab)
    }

    fn call_command(&mut self, method: &str, params: Value) -> Result<Value> {
        let answer = self.protocol.call_command(method, params)?;
        while let Some(event) = self.protocol.kept_event() {
            self.handle_event(&event);
        }
        Ok(answer)
    }

    fn handle_event(&mut self, event: &Event) {
        let params = &event.params;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let problem = match event.method.as_str() {
            "Page.loadEventFired" => {
                self.loaded = true;
                None
            }
            "Network.requestWillBeSent" => {
                self.requests += 1;
                let url = text(&params["request"]["url"]);
                (!url.starts_with(&format!("{}/", self.origin)))
                    .then(|| format!("a request to {url}"))
            }
            "Log.entryAdded" => {
                let entry = &params["entry"];
                matches!(entry["level"].as_str(), Some("error" | "warning"))
                    .then(|| format!("{}: {}", text(&entry["source"]), text(&entry["text"])))
            }
            "Runtime.exceptionThrown" => Some(format!("exception: {}", params["exceptionDetails"])),
            "Runtime.consoleAPICalled" => matches!(
                params["type"].as_str(),
                Some("error" | "warning" | "assert")
            )
            .then(|| format!("console: {}", params["args"])),
            _ => None,
        };
        let problem =
            problem.filter(|problem| !self.expected.iter().any(|known| problem.contains(known)));
        self.problems.extend(problem);
    }

    /// What contains this is no problem from now on.
    pub(crate) fn expect(&mut self, text: &'static str) {
        self.expected.push(text);
    }

    /// Fails if anything happened that must not.
    pub(crate) fn close_tab(mut self) -> Result<()> {
        self.call_command("Page.getFrameTree", json!({}))?;
        ensure!(self.requests > 0, "the browser told of no request at all");
        claim!(
            self.problems.is_empty(),
            "on the page:\n    {}",
            self.problems.join("\n    ")
        );
        Ok(())
    }

    /// Loads a page of ours.
    pub(crate) fn load_page(&mut self, path: &str) -> Result<()> {
        self.loaded = false;
        let url = format!("{}{path}", self.origin);
        let answer = self.call_command("Page.navigate", json!({ "url": url }))?;
        if let Some(error) = answer["errorText"].as_str() {
            return Err(WrongVerdict(format!("{url} cannot be loaded: {error}")).into());
        }
        self.wait_loaded()
    }

    /// Waits until a navigation that was begun otherwise is over.
    pub(crate) fn wait_loaded(&mut self) -> Result<()> {
        while !self.loaded {
            let event = self.protocol.wait_event()?;
            self.handle_event(&event);
        }
        self.loaded = false;
        Ok(())
    }

    /// What an expression of JavaScript comes to.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let mut answer = self.call_command(
            "Runtime.evaluate",
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        )?;
        if let Some(error) = answer.get("exceptionDetails") {
            let words = format!("`{expression}` fails on the page: {error}");
            return Err(WrongVerdict(words).into());
        }
        Ok(answer["result"]["value"].take())
    }

    pub(crate) fn eval_text(&mut self, expression: &str) -> Result<String> {
        let value = self.evaluate(expression)?;
        let text = value.as_str().map(str::to_owned);
        text.or_wrong(|| format!("`{expression}` is {value} on the page"))
    }

    pub(crate) fn number(&mut self, expression: &str) -> Result<f64> {
        let value = self.evaluate(expression)?;
        let number = value.as_f64();
        number.or_wrong(|| format!("`{expression}` is {value} on the page"))
    }

    /// Fails if this is not so.
    pub(crate) fn require(&mut self, expression: &str) -> Result<()> {
        let value = self.evaluate(expression)?;
        claim!(
            value == json!(true),
            "`{expression}` is {value} on the page"
        );
        Ok(())
    }

    /// Waits until this is so.
    pub(crate) fn wait_until(&mut self, expression: &str) -> Result<()> {
        let started = Instant::now();
        while self.evaluate(expression)? != json!(true) {
            claim!(
                started.elapsed() < LIMIT,
                "`{expression}` is not so after {LIMIT:?}"
            );
            sleep(POLL);
        }
        Ok(())
    }

    pub(crate) fn press_key(&mut self, key: Key) -> Result<()> {
        let (name, code, text) = match key {
            Key::Tab => ("Tab", 9, ""),
            Key::Enter => ("Enter", 13, "\r"),
        };
        let mut press =
            json!({ "type": "keyDown", "key": name, "code": name, "windowsVirtualKeyCode": code });
        if !text.is_empty() {
            press["text"] = json!(text);
        }
        self.call_command("Input.dispatchKeyEvent", press.clone())?;
        press["type"] = json!("keyUp");
        self.call_command("Input.dispatchKeyEvent", press).map(drop)
    }

    /// The window's size in CSS pixels.
    pub(crate) fn set_size(&mut self, width: u32, height: u32) -> Result<()> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call_command("Emulation.setDeviceMetricsOverride", metrics)
            .map(drop)
    }

    /// What the user prefers: `prefers-color-scheme`, `prefers-reduced-motion`.
    pub(crate) fn prefer(&mut self, feature: &str, value: &str) -> Result<()> {
        let features = json!({ "features": [{ "name": feature, "value": value }] });
        self.call_command("Emulation.setEmulatedMedia", features)
            .map(drop)
    }

    /// From the next page on no script runs.
    pub(crate) fn without_scripts(&mut self) -> Result<()> {
        self.call_command(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": true }),
        )
        .map(drop)
    }

    /// What is in the window, as a PNG.
    pub(crate) fn screenshot(&mut self) -> Result<Vec<u8>> {
        let shot = self.call_command("Page.captureScreenshot", json!({ "format": "png" }))?;
        let data = shot["data"].as_str().context("no picture")?;
        BASE64_STANDARD
            .decode(data)
            .context("the picture is no base64")
    }
}
