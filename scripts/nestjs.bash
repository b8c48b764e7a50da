# The tests beside unmodified NestJS services: tests/nestjs. To be sourced after common.bash.
# What npm fetches and the compiler makes is in the target folder, one folder for each version.

# What Debian 12 has is older than NestJS needs: then npm brings a newer one, for these tests alone.
NODE=20.20.2

need_nodejs() {
    command -v node >/dev/null && command -v npm >/dev/null || install_packages Node.js nodejs npm
    local version
    version=$(node --version)
    [[ ${version//[!0-9.]/} =~ ^([0-9]+) && ${BASH_REMATCH[1]} -ge 20 ]] && return
    step "fetching Node.js $NODE, since this is $version"
    local machine
    machine=$(node --print 'process.arch')
    npm install --prefix "$folder/node" --no-audit --no-fund --loglevel=error "node-linux-$machine@$NODE" >&2 ||
        die "NestJS needs Node.js 20 or newer, and this is $version: install a newer one and try again"
    PATH=$folder/node/node_modules/node-linux-$machine/bin:$PATH
}

# Fetches exactly what a package-lock.json names, unless that was done before.
#
#   npm_packages FROM TO
npm_packages() {
    mkdir -p "$2"
    cmp -s "$1/package-lock.json" "$2/fetched" && return
    cp "$1"/package{,-lock}.json "$2"
    (cd "$2" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
        die "npm could not fetch what $1/package-lock.json names"
    cp "$1/package-lock.json" "$2/fetched"
}

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
