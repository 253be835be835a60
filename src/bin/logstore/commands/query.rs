//! `logstore query`: a SELECT of the user's own.

use std::io::Read as _;

use serde_json::Value;

use crate::context::Context;
use crate::flags::TimeLimit;
use crate::output::{Columns, NamedRow};
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One SELECT, or - to read it from standard input
    #[arg(value_name = "SQL")]
    sql: String,

    /// A value for the next ? in the SQL: JSON, or else text; repeatable
    #[arg(short, long = "param", value_name = "VALUE", allow_hyphen_values = true)]
    parameters: Vec<String>,

    #[command(flatten)]
    time: TimeLimit,
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let mut sql = args.sql.clone();
    if sql == "-" {
        sql.clear();
        std::io::stdin()
            .read_to_string(&mut sql)
            .map_err(|error| Failure::Usage(format!("cannot read SQL from standard input: {error}")))?;
    }
    let parameters: Vec<Value> = args
        .parameters
        .iter()
        .map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()))
        .collect();
    let store = context.existing_store_within(&args.time)?;
    let rows = store.stream_query(&sql, &parameters)?;
    let columns = rows.columns.clone();
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let rows = rows.map(|values| Ok(NamedRow::new(&names, values?)));
    context.output.rows(&Columns::named(&names), rows).map(drop)
}
