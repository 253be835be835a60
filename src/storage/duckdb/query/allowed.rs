//! Checks the functions and tables that the caller's own SQL uses.
//!
//! The engine's parser takes the SQL apart. Table functions can write from within a SELECT, change settings, end the
//! process, or run unchecked SQL. So only those from a list are allowed, in views and macros as well.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use ::duckdb::Connection;
use serde_json::Value;

use crate::models::InvalidValue;
use crate::storage::Result;
use crate::storage::duckdb::engine::gate::Definitions;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement;

/// Names the table functions that only read their arguments.
const OF_LAKES: [&str; 6] = [
    "range",
    "generate_series",
    "unnest",
    "repeat",
    "json_each",
    "json_tree",
];

/// Names the table functions that describe a store in a file. In a lake, they would reach the database of its catalog.
const OF_STORES_IN_FILES: [&str; 12] = [
    "duckdb_columns",
    "duckdb_constraints",
    "duckdb_functions",
    "duckdb_keywords",
    "duckdb_schemas",
    "duckdb_tables",
    "duckdb_types",
    "duckdb_views",
    "pragma_database_size",
    "pragma_storage_info",
    "pragma_table_info",
    "pragma_version",
];

/// Names the table functions that read files, for a store that was opened with access to them.
const OF_OTHER_FILES: [&str; 20] = [
    "glob",
    "parquet_file_metadata",
    "parquet_kv_metadata",
    "parquet_metadata",
    "parquet_scan",
    "parquet_schema",
    "read_blob",
    "read_csv",
    "read_csv_auto",
    "read_json",
    "read_json_auto",
    "read_json_objects",
    "read_json_objects_auto",
    "read_ndjson",
    "read_ndjson_auto",
    "read_ndjson_objects",
    "read_ndjson_objects_auto",
    "read_parquet",
    "read_text",
    "sniff_csv",
];

/// Names the scalar functions that change something, wait, reveal more than the store, or look at SQL of their own.
const REFUSED: [&str; 12] = [
    "current_setting",
    "currval",
    "getenv",
    "getvariable",
    "json_serialize_plan",
    "nextval",
    "pg_sleep",
    "set_config",
    "setseed",
    "sleep",
    "sleep_ms",
    "write_log",
];

/// Names the engine's views over table functions that no query may use.
const REFUSED_VIEWS: [&str; 2] = ["pg_database", "pg_settings"];

/// Lists the endings of tables that the engine takes for DuckDB files, if there is no table of that name.
const ENDS_OF_FILES: [&str; 3] = [".db", ".ddb", ".duckdb"];

/// Names the views of the store itself.
const OWN_VIEWS: [&str; 2] = ["logs", "log_texts"];

/// Holds the rules for a query of one store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) is_lake: bool,
    pub(crate) reads_files: bool,
}

/// Holds the names in a parsed query, in lower case.
#[derive(Default)]
struct Names {
    table_functions: BTreeSet<String>,
    functions: BTreeSet<String>,
    tables: BTreeSet<String>,
    /// Holds the tables as they are written, which may be names of files.
    whole_tables: BTreeSet<String>,
    /// Holds catalogs and schemas.
    places: BTreeSet<String>,
}

impl Names {
    fn in_query(parsed: &Value) -> Self {
        let mut names = Self::default();
        names.collect(parsed);
        names
    }

    fn collect(&mut self, parsed: &Value) {
        match parsed {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(node) => {
                let text = |key: &str| node.get(key).and_then(Value::as_str).map(str::to_ascii_lowercase);
                if node.get("type").and_then(Value::as_str) == Some("TABLE_FUNCTION") {
                    let name = node
                        .get("function")
                        .and_then(|function| function["function_name"].as_str());
                    self.table_functions
                        .insert(name.unwrap_or_default().to_ascii_lowercase());
                }
                self.functions.extend(text("function_name"));
                self.tables.extend(text("table_name"));
                if node.contains_key("table_name") {
                    let parts = ["catalog_name", "schema_name", "table_name"].map(text);
                    let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
                    self.whole_tables.insert(parts.collect::<Vec<_>>().join("."));
                }
                for key in ["catalog_name", "schema_name", "catalog", "schema"] {
                    self.places.extend(text(key));
                }
                node.values().for_each(|value| self.collect(value));
            }
            _ => {}
        }
    }
}

impl Allowed {
    /// Refuses a query that uses something it must not use.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) that names the function or table.
    pub(crate) fn check(
        self,
        connection: &Connection,
        macros: &OnceLock<Definitions>,
        sql: &str,
        parsed: &Value,
    ) -> Result<()> {
        let names = Names::in_query(parsed);
        self.check_names(sql, &names)?;
        let mut definitions = read_definitions(connection, VIEWS)?;
        let macros = match macros.get() {
            Some(macros) => macros,
            None => {
                let read = read_definitions(connection, MACROS)?;
                macros.get_or_init(|| read)
            }
        };
        definitions.extend_from_slice(macros);
        let mut seen = BTreeSet::new();
        let mut named = vec![names];
        while let Some(names) = named.pop() {
            for (name, definition) in &definitions {
                let is_named = names.tables.contains(name) || names.functions.contains(name);
                if !is_named || !seen.insert((name, definition)) {
                    continue;
                }
                for parsed in readings(connection, definition)? {
                    let inside = Names::in_query(&parsed);
                    self.check_names(sql, &inside)?;
                    named.push(inside);
                }
            }
        }
        Ok(())
    }

    fn check_names(self, sql: &str, names: &Names) -> Result<()> {
        let refused = |what: String| {
            let reason = format!("a query may not use {what}");
            Err(InvalidValue::new("query", sql, reason).into())
        };
        if let Some(name) = names.table_functions.iter().find(|name| !self.has(name)) {
            return refused(format!("the table function {name}"));
        }
        // The engine's own views are table functions as well.
        let is_view = |name: &&String| name.starts_with("duckdb_") || name.starts_with("pragma_");
        if let Some(name) = names.tables.iter().filter(is_view).find(|name| !self.has(name)) {
            return refused(format!("the table function {name}"));
        }
        if let Some(name) = names
            .tables
            .iter()
            .find(|name| REFUSED_VIEWS.contains(&name.as_str()))
        {
            return refused(format!("the view {name}"));
        }
        let is_file = |name: &&String| {
            let name = name.split('?').next().unwrap_or_default();
            ENDS_OF_FILES.iter().any(|end| name.ends_with(end))
        };
        if let Some(name) = names.whole_tables.iter().find(is_file) {
            return refused(format!("the file {name}"));
        }
        if let Some(name) = names
            .functions
            .iter()
            .find(|name| REFUSED.contains(&name.as_str()))
        {
            return refused(format!("the function {name}"));
        }
        match self.is_lake && names.places.iter().any(|place| place.starts_with("__ducklake")) {
            true => refused("the catalog".to_owned()),
            false => Ok(()),
        }
    }

    /// Returns whether a table function may be used.
    fn has(self, name: &str) -> bool {
        OF_LAKES.contains(&name)
            || !self.is_lake && OF_STORES_IN_FILES.contains(&name)
            || self.reads_files && OF_OTHER_FILES.contains(&name)
    }
}

const VIEWS: &str = "SELECT lower(view_name), sql
    FROM duckdb_views()
    WHERE NOT internal AND database_name = current_database() AND sql IS NOT NULL";

/// Lists the macros of other programs. The engine takes tens of milliseconds to list its functions.
const MACROS: &str = "SELECT lower(function_name), macro_definition
    FROM duckdb_functions()
    WHERE NOT internal AND database_name = current_database() AND function_type IN ('macro', 'table_macro')
        AND macro_definition IS NOT NULL";

fn read_definitions(connection: &Connection, sql: &str) -> Result<Definitions> {
    let read = statement::query_all(connection, sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let mut definitions: Definitions =
        read.map_err(|error| error::engine("look at the views of the store", error))?;
    definitions.retain(|(name, _)| !OWN_VIEWS.contains(&name.as_str()));
    Ok(definitions)
}

/// Parses a definition in each way that it can be read, one of which is the right one.
///
/// A view is `CREATE VIEW name AS query`, and its name may hold anything.
fn readings(connection: &Connection, definition: &str) -> Result<Vec<Value>> {
    let mut texts = vec![definition.to_owned(), format!("SELECT {definition}")];
    let ends = definition.match_indices([' ', '\n']).map(|(at, _)| at);
    for rest in ends.map(|at| &definition[at + 1..]) {
        if rest.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("as ")) {
            texts.push(rest[3..].to_owned());
        }
    }
    let mut readings = Vec::new();
    for text in texts {
        let parsed = parse(connection, &text)
            .map_err(|error| error::engine("look at the views of the store", error))?;
        if parsed["error"] == Value::Bool(false) {
            readings.push(parsed);
        }
    }
    match readings.is_empty() {
        true => {
            let reason =
                "it is not known what this view or macro of the store does: write its SQL into the query";
            Err(InvalidValue::new("query", definition, reason).into())
        }
        false => Ok(readings),
    }
}

/// Returns the parse tree of the engine's own parser; an object with an error if the SQL is not a SELECT.
pub(crate) fn parse(connection: &Connection, sql: &str) -> ::duckdb::Result<Value> {
    const PARSE: &str = "SELECT CAST(json_serialize_sql(CAST(? AS VARCHAR)) AS VARCHAR)";
    let parsed: String = connection.query_row(PARSE, [sql], |row| row.get(0))?;
    Ok(serde_json::from_str(&parsed).unwrap_or_default())
}
