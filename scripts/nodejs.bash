# Node.js and npm's packages, for the tests that need them. To be sourced after common.bash.

# What Debian 12 has is older than these tests need: then npm brings a newer one, for these tests alone.
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
        die "these tests need Node.js 20 or newer, and this is $version: install a newer one and try again"
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

# Puts what the tests share beside a folder of theirs.
share_nodejs() {
    local shared
    shared=$(dirname "$1")/nodejs
    rm -rf "$shared" && cp -r tests/nodejs "$shared"
}

# A folder below this one for tests with browsers, which goes at the end. "$folder" belongs to PostgreSQL's
# user: there a browser's pages crash.
browser_folder() {
    browser_folders+=("$1/tmp")
    mkdir -p "$1/tmp"
}
browser_folders=()
at_the_end+=(remove_browser_folders)

remove_browser_folders() {
    rm -rf "${browser_folders[@]}"
}
