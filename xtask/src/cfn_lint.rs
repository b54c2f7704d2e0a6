//! cfn-lint, which judges the CloudFormation templates that `plimsoll policy write` writes.

use crate::python::packages;
use crate::step::step;
use crate::store::Store;
use crate::Result;

/// The Python packages, in the store.
const PACKAGES: &str = "python-cfn-lint";

/// Installs them if they are not there.
pub fn ensure(store: &Store) -> Result<()> {
    step("Python packages of cfn-lint", || {
        packages(store, PACKAGES, "tests/support/requirements-cfn.txt")
    })
}
