//! A dashboard, as far as it is looked at here: Grafana's JSON model.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Board {
    pub(super) uid: String,
    pub(super) title: String,
    pub(super) templating: Templating,
    pub(super) panels: Vec<Panel>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Templating {
    pub(super) list: Vec<Variable>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Variable {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Panel {
    pub(super) id: u64,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) datasource: Datasource,
    #[serde(default)]
    pub(super) targets: Vec<Target>,
    pub(super) grid_pos: Place,
    #[serde(default)]
    pub(super) field_config: FieldConfig,
    #[serde(default)]
    pub(super) transformations: Vec<Transformation>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Datasource {
    pub(super) uid: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    pub(super) expr: String,
    pub(super) ref_id: String,
    pub(super) legend_format: String,
    #[serde(default)]
    pub(super) format: String,
    pub(super) range: bool,
}

/// Where it is, in Grafana's grid.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Place {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) w: u64,
    pub(super) h: u64,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct FieldConfig {
    pub(super) defaults: Field,
    #[serde(default)]
    overrides: Vec<Override>,
}

/// What is otherwise for one field.
#[derive(Debug, Deserialize)]
struct Override {
    matcher: Matcher,
    properties: Vec<Property>,
}

#[derive(Debug, Deserialize)]
struct Matcher {
    options: String,
}

#[derive(Debug, Deserialize)]
struct Property {
    id: String,
    value: serde_json::Value,
}

impl Panel {
    /// The unit of the column with this title.
    pub(super) fn unit_of(&self, title: &str) -> &str {
        let own = self
            .field_config
            .overrides
            .iter()
            .filter(|other| other.matcher.options == title)
            .flat_map(|other| &other.properties)
            .find(|property| property.id == "unit")
            .and_then(|property| property.value.as_str());
        own.unwrap_or(&self.field_config.defaults.unit)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Field {
    pub(super) unit: String,
    pub(super) no_value: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Transformation {
    pub(super) options: Columns,
}

/// Which columns a table shows, under which titles, in which order.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Columns {
    pub(super) index_by_name: std::collections::BTreeMap<String, usize>,
    pub(super) rename_by_name: std::collections::BTreeMap<String, String>,
}
