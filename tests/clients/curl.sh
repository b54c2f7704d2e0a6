#!/bin/sh
# curl against a running server on the test model sum4: x float32[N,4] → y float32[N,1], the sum of the row.
# The first commands are those of README.md, with another address.
#   curl.sh URL
set -u
url=${1:?"expected the address of a server, such as http://127.0.0.1:8080"}
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
made=0
failed=0

# ask NAME EXPECTED ARGUMENTS…: the status and the body, on one line, with a blank between.
ask() {
  name=$1 expected=$2
  shift 2
  made=$((made + 1))
  status=$(curl --silent --show-error --noproxy '*' --max-time 60 --output "$folder/body" \
    --dump-header "$folder/head" --write-out '%{http_code}' "$@" 2>"$folder/error")
  found="$status $(tr -d '\r\0' <"$folder/body" 2>/dev/null | tr '\n' '|')$(cat "$folder/error")"
  # A * in what is expected stands for anything.
  # shellcheck disable=SC2254
  case $found in
    $expected) echo "ok $name" ;;
    *)
      failed=$((failed + 1))
      echo "FAILED $name: '$found' is not '$expected'"
      ;;
  esac
}

# head NAME EXPECTED: a line of the last reply's head, in lower case.
head_has() {
  made=$((made + 1))
  if tr -d '\r' <"$folder/head" | tr '[:upper:]' '[:lower:]' | grep -q -x -- "$2"; then
    echo "ok $1"
  else
    failed=$((failed + 1))
    echo "FAILED $1: the head lacks '$2': $(tr -d '\r' <"$folder/head" | tr '\n' '|')"
  fi
}

json='Content-Type: application/json'
invocations=$url/invocations

ask ping '200 ' "$url/ping"
ask ping_by_post '200 ' --request POST "$url/ping"
ask bare_rows '200 \[\[10.0]]' -H "$json" "$invocations" -d '[[1, 2, 3, 4]]'
head_has the_type_is_json 'content-type: application/json'
ask instances '200 {"predictions":\[\[10.0]]}' -H "$json" "$invocations" -d '{"instances": [[1, 2, 3, 4]]}'
ask columns '200 {"outputs":*10.0*}' -H "$json" "$invocations" -d '{"inputs": {"x": [[1, 2, 3, 4]]}}'
ask kserve '200 {*"name":"y"*\[10.0]*}' -H "$json" "$invocations" \
  -d '{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}'
ask csv '200 10' -H 'Content-Type: text/csv' "$invocations" -d '1,2,3,4'
head_has the_type_is_csv 'content-type: text/csv'
ask json_lines '200 \[10.0]|\[26.0]*' -H "$json" -H 'Accept: application/jsonlines' "$invocations" \
  -d '{"instances": [[1, 2, 3, 4], [5, 6, 7, 8]]}'
ask a_file '200 10|26*' -H 'Content-Type: text/csv' "$invocations" --data-binary @- <<ROWS
1,2,3,4
5,6,7,8
ROWS
ask in_chunks '200 \[\[10.0]]' -H "$json" -H 'Transfer-Encoding: chunked' "$invocations" -d '[[1, 2, 3, 4]]'
ask after_100_continue '200 \[\[10.0]]' -H "$json" -H 'Expect: 100-continue' "$invocations" -d '[[1, 2, 3, 4]]'
ask http_1_0 '200 \[\[10.0]]' --http1.0 -H "$json" "$invocations" -d '[[1, 2, 3, 4]]'
printf '[[1, 2, 3, 4]]' | gzip >"$folder/zipped"
ask a_zipped_body '200 \[\[10.0]]' -H "$json" -H 'Content-Encoding: gzip' "$invocations" --data-binary "@$folder/zipped"
{ printf '[[1,2,3,4]'; yes ',[1,2,3,4]' | head -n 1999; printf ']'; } | tr -d '\n' >"$folder/rows"
ask a_zipped_answer '200 \[\[10.0],*,\[10.0]]' --compressed -H "$json" "$invocations" --data-binary "@$folder/rows"
head_has the_answer_was_zipped 'content-encoding: \(gzip\|deflate\)'
ask an_attribute_comes_back '200 *' -H "$json" -H 'X-Amzn-SageMaker-Custom-Attributes: trace=abc' \
  "$invocations" -d '[[1, 2, 3, 4]]'
head_has the_attribute 'x-amzn-sagemaker-custom-attributes: trace=abc'
ask a_form_is_415 '415 {"error":"*","code":415}' "$invocations" -d '[[1, 2, 3, 4]]'
ask three_columns_are_400 '400 {"error":"*","code":400}' -H "$json" "$invocations" -d '[[1, 2, 3]]'
ask get_is_405 '405 *' "$invocations"
head_has post_is_allowed 'allow: post'
ask an_unknown_path_is_404 '404 *' "$url/nothing"
ask the_metrics_page '200 *plimsoll_invocations_total *' "$url/metrics"
ask the_model '200 {"models":\[{"modelName":"model","modelUrl":"*"}]}' "$url/models"
ask kserve_ready '200 *' "$url/v2/models/model/ready"

echo "$made checks, $failed failed"
[ "$failed" -eq 0 ]
