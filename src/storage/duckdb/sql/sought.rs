//! The SQL function that tests whether a part of a log may hold what a scan seeks.

use std::collections::HashSet;
use std::error::Error;
use std::sync::{Arc, OnceLock};

use ::duckdb::Connection;
use ::duckdb::arrow::array::{ArrayRef, AsArray as _, BooleanArray, RecordBatch};
use ::duckdb::arrow::datatypes::{DataType, Int64Type, UInt64Type};
use ::duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};

use super::in_network::texts;
use super::registry::{Registered, Registry};
use crate::models::observables::{has_escapes, is_plain, may_be_escaped};
use crate::models::{Indicator, SoughtObservables};

/// Names the SQL function `may_hold(key, part)`. The part is a text, or the hash of a value of a column.
const MAY_HOLD: &str = "may_hold";

pub(crate) fn register(connection: &Connection) -> ::duckdb::Result<()> {
    connection.register_scalar_function::<MayHold>(MAY_HOLD)
}

/// Holds what a scan seeks. The engine can ask for it until this is dropped.
pub(crate) struct Sought {
    what: Arc<What>,
    registered: Registered<Arc<What>>,
}

struct What {
    observables: SoughtObservables,
    /// Holds the hashes of the values of columns that may hold it.
    hashes: OnceLock<HashSet<u64>>,
}

static SOUGHT: Registry<Arc<What>> = Registry::new();

impl Sought {
    pub(crate) fn new(observables: SoughtObservables) -> Self {
        let hashes = OnceLock::new();
        let what = Arc::new(What { observables, hashes });
        Self {
            registered: SOUGHT.add(Arc::clone(&what)),
            what,
        }
    }

    /// Returns whether a text with this value of a column may hold what is sought.
    pub(crate) fn may_be_in_value(&self, part: &str) -> bool {
        may_be_escaped(part) || self.what.may_be_in_plain(part)
    }

    /// Returns whether a text with this part may hold what is sought.
    pub(crate) fn may_be_in(&self, part: &str) -> bool {
        self.what.may_be_in(part)
    }

    /// Returns all that is sought, if it was named.
    pub(crate) fn names(&self) -> &[Indicator] {
        self.what.observables.names()
    }

    /// Sets the hashes of the values of columns that may hold what is sought. The first call counts.
    pub(crate) fn set_hashes(&self, hashes: HashSet<u64>) {
        self.what.hashes.get_or_init(|| hashes);
    }

    /// Returns SQL that is true where a part of a log may hold what is sought. It must not be NULL, as the engine would
    /// not ask the function then.
    pub(crate) fn condition(&self, part: &str) -> String {
        format!("{MAY_HOLD}({}, {part})", self.registered.key())
    }
}

impl What {
    /// Returns whether it may be in a text with a part. JSON has other texts than its values where it has escapes.
    fn may_be_in(&self, part: &str) -> bool {
        has_escapes(part) || self.may_be_in_plain(part)
    }

    fn may_be_in_plain(&self, part: &str) -> bool {
        !is_plain(part) || self.observables.may_be_in(part)
    }
}

struct MayHold;

impl VArrowScalar for MayHold {
    type State = ();

    fn invoke((): &(), input: RecordBatch) -> Result<ArrayRef, Box<dyn Error>> {
        let keys = input.column(0).as_primitive::<Int64Type>();
        let Some(key) = keys.iter().flatten().next() else {
            return Ok(Arc::new(BooleanArray::new_null(input.num_rows())));
        };
        let sought = SOUGHT.get(key).ok_or("there is no such scan")?;
        let parts = input.column(1);
        let found: BooleanArray = match parts.as_primitive_opt::<UInt64Type>() {
            Some(hashes) => {
                let known = sought.hashes.get();
                let may_hold = |hash| known.is_none_or(|known| known.contains(&hash));
                hashes.iter().map(|hash| hash.map(may_hold)).collect()
            }
            None => {
                let parts = texts(parts)?.into_iter();
                parts
                    .map(|part| part.map(|part| sought.may_be_in(part)))
                    .collect()
            }
        };
        Ok(Arc::new(found))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        [DataType::Utf8, DataType::UInt64]
            .into_iter()
            .map(|part| ArrowFunctionSignature::exact(vec![DataType::Int64, part], DataType::Boolean))
            .collect()
    }
}
