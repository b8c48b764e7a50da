# The tests beside unmodified NestJS services: tests/nestjs. To be sourced after nodejs.bash.
# What npm fetches and the compiler makes is in the target folder, one folder for each version.

# Makes the service for each version, from the same source.
build_nestjs() {
    need_nodejs
    step "building the NestJS services"
    nestjs=${CARGO_TARGET_DIR:-target}/nestjs
    npm_packages tests/nestjs "$nestjs"
    nestjs=$(realpath "$nestjs")
    rm -rf "$nestjs/server" && cp -r tests/nestjs/server "$nestjs"
    local version
    for version in v10 v11 v12; do
        npm_packages "tests/nestjs/$version" "$nestjs/$version"
        rm -rf "$nestjs/$version"/{service,dist}
        cp -r tests/nestjs/{service,tsconfig.json} "$nestjs/$version"
        "$nestjs/node_modules/.bin/tsc" --project "$nestjs/$version" || die "the service is not TypeScript for $version"
    done
}

# Runs the tests with each version; a failure does not keep the next from its run.
test_nestjs() {
    local version failed=
    for version in v10 v11 v12; do
        step "NestJS ${version#v}"
        NEST_VERSION=${version#v} NEST_SERVICE=$nestjs/$version/dist/main.js \
            RABBITMQ_URL=$FRONTDESK_TEST_RABBITMQ_URL TMPDIR=$folder \
            node --test --test-force-exit --test-reporter=spec "$nestjs/server/server.test.mjs" || failed+=" $version"
    done
    [[ ! $failed ]] || die "tests beside NestJS failed:$failed"
}
