//! What a target did, or did not.

use aws_sdk_applicationautoscaling::types;

use super::error::error;
use super::{dimension, service, Clients};
use crate::{moment, Activity, Error, Names, NotScaled};

const DESCRIBE: &str = "application-autoscaling:DescribeScalingActivities";
/// How many are shown.
const NEWEST: i32 = 10;

impl Clients {
    /// The newest activities of the target, those in which nothing was scaled among them.
    pub(crate) async fn activities(&self, names: &Names) -> Result<Vec<Activity>, Error> {
        let call = self.scaling.describe_scaling_activities();
        let call = call
            .service_namespace(service(names))
            .resource_id(&names.resource_id)
            .scalable_dimension(dimension(names))
            .include_not_scaled_activities(true)
            .max_results(NEWEST);
        let answer = call.send().await.map_err(|sdk| error(DESCRIBE, &sdk))?;
        let mut found = answer.scaling_activities().to_vec();
        found.sort_by_key(|one| std::cmp::Reverse(one.start_time().secs()));
        found.truncate(NEWEST as usize);
        Ok(found.iter().map(ours).collect())
    }
}

fn ours(found: &types::ScalingActivity) -> Activity {
    let reasons = found.not_scaled_reasons().iter().map(|reason| NotScaled {
        code: reason.code().to_owned(),
        max_capacity: reason.max_capacity(),
        min_capacity: reason.min_capacity(),
        current_capacity: reason.current_capacity(),
    });
    Activity {
        start_time: moment::text(found.start_time().secs()),
        end_time: found.end_time().map(|time| moment::text(time.secs())),
        status_code: found.status_code().as_str().to_owned(),
        description: found.description().to_owned(),
        cause: found.cause().to_owned(),
        status_message: found.status_message().map(str::to_owned),
        not_scaled_reasons: reasons.collect(),
    }
}
