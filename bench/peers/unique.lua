-- For wrk: every request asks for another target, so that no cache has it.
local start = os.time() .. "-" .. tostring({}):gsub("[^%w]", "")
local count = 0
request = function()
  count = count + 1
  return wrk.format("GET", "/m/" .. start .. "-" .. count)
end
